// Logits that wait for another model's: floats in a file that no other program sees. Used by eval
// --divergence.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace llmpq {

/// Rows of [vocab] floats, written one after the other and read in the same order. The file has no
/// name once it is made: nothing stays behind, however the program ends. Plain bytes and not HDF5,
/// whose every element would cost more than computing with it.
class LogitsFile {
 public:
  /// In `folder`, which must have room for `rows` rows: else Error(kOutput) that says how much is
  /// wanted, as for everything that a disk refuses.
  LogitsFile(const std::filesystem::path& folder, int64_t rows, int64_t vocab);
  ~LogitsFile();
  LogitsFile(LogitsFile&& other) noexcept;
  LogitsFile& operator=(LogitsFile&& other) noexcept;

  void append(std::span<const float> rows);
  /// The next `rows` rows, from the first on. Error(kInternal) beyond what was written.
  std::vector<float> next(int64_t rows);

 private:
  std::filesystem::path folder_;
  int descriptor_ = -1;
  int64_t row_bytes_ = 0;
  int64_t written_ = 0, read_ = 0;  ///< bytes
};

/// Bytes that a LogitsFile takes.
int64_t logits_file_bytes(int64_t rows, int64_t vocab);

}  // namespace llmpq
