// Logits that wait for another model's: floats in a file that no other program sees. Used by eval
// --divergence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace llmpq {

/// Rows of [vocab] floats, written one after the other and read in any order. The file has no name
/// once it is made: nothing stays behind, however the program ends. Plain bytes and not HDF5, whose
/// every element would cost more than computing with it.
class LogitsFile {
 public:
  /// In `folder`, which must have room for `rows` rows: else Error(kOutput) that says how much is
  /// wanted, as for everything that a disk refuses.
  LogitsFile(const std::filesystem::path& folder, int64_t rows, int64_t vocab);
  ~LogitsFile();
  LogitsFile(LogitsFile&& other) noexcept;
  LogitsFile& operator=(LogitsFile&& other) noexcept;

  const std::filesystem::path& folder() const { return folder_; }
  int64_t vocab() const { return vocab_; }
  /// Of all rows that it was made for.
  int64_t bytes() const { return bytes_; }

  /// The next rows' floats as they lie in memory, whole rows or any part.
  void append(std::span<const std::byte> rows);
  /// Bytes from `begin` on. Error(kInternal) beyond what was written. Several threads may read.
  void read(int64_t begin, std::span<std::byte> to) const;
  /// `to`: [vocab].
  void read_row(int64_t row, std::span<float> to) const;

 private:
  std::filesystem::path folder_;
  int descriptor_ = -1;
  int64_t vocab_ = 0, bytes_ = 0;
  int64_t written_ = 0;  ///< bytes
};

/// Bytes that so many rows take.
int64_t logits_file_bytes(int64_t rows, int64_t vocab);

}  // namespace llmpq
