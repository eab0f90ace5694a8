// A file that is read at any place, by several threads at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "kernels/check.hpp"

namespace llmpq {

class FileReader {
 public:
  /// Error(code), also of every read, if it cannot be opened.
  FileReader(const std::filesystem::path& path, Exit code);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// All of `to`, from byte `offset` of the file on. Error(code) that names file and place if the
  /// system cannot read there or the file ends before.
  void read_at(int64_t offset, std::span<std::byte> to) const;
  /// Whether the system has that byte in its memory; false where it does not tell.
  bool is_cached(int64_t offset) const;

 private:
  std::filesystem::path path_;
  Exit code_;
  int fd_;
};

}  // namespace llmpq
