// An open file, for the code that reads and writes files.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>

#include "kernels/check.hpp"

namespace llmpq {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags, Exit code, const char* what)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    CHECK(fd_ >= 0, code, "{}: cannot {}: {}", path.string(), what, std::strerror(errno));
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// The size of a regular file; folders and devices are refused.
inline int64_t size_of(const Descriptor& file, const std::filesystem::path& path, Exit code) {
  struct stat status {};
  CHECK(::fstat(file.get(), &status) == 0, code, "{}: cannot be examined: {}", path.string(),
        std::strerror(errno));
  CHECK(S_ISREG(status.st_mode), code, "{}: not a regular file", path.string());
  return status.st_size;
}

}  // namespace llmpq
