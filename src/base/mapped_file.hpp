// A file's bytes in memory, read as they are touched. Where one cannot be read (the file was cut
// short meanwhile, a disk or network failed) the system sends SIGBUS: it is caught, zeros stand in
// the bytes' place, and whoever used them is told when they ask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "kernels/check.hpp"

namespace llmpq {

/// Read-only. An empty file maps to no bytes.
class MappedFile {
 public:
  /// Error(code) if it cannot be opened or mapped, or is no regular file.
  MappedFile(const std::filesystem::path& path, Exit code);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  int64_t size() const { return static_cast<int64_t>(size_); }
  const std::filesystem::path& path() const { return path_; }
  /// Error(code) if bytes that were touched so far, by any thread, could not be read. To be called
  /// after bytes were used and before anything is believed that was made of them.
  void check_read() const;

 private:
  std::filesystem::path path_;
  Exit code_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t watched_ = 0;  ///< which of the watched places is this one's
};

}  // namespace llmpq
