#include "base/file_reader.hpp"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace llmpq {

FileReader::FileReader(const std::filesystem::path& path, Exit code)
    : path_(path), code_(code), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  CHECK(fd_ >= 0, code, "{}: cannot open: {}", path.string(), std::strerror(errno));
}

FileReader::~FileReader() { ::close(fd_); }

void FileReader::read_at(int64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t got = ::pread(fd_, to.data(), to.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    CHECK(got >= 0, code_, "{}: cannot read {} bytes from byte {} on: {}", path_.string(),
          to.size(), offset, std::strerror(errno));
    CHECK(got > 0, code_, "{}: ends at byte {}, where {} more are wanted; was it changed?",
          path_.string(), offset, to.size());
    to = to.subspan(static_cast<size_t>(got));
    offset += got;
  }
}

bool FileReader::is_cached(int64_t offset) const {
  std::byte byte;
  const iovec to{&byte, 1};
  return ::preadv2(fd_, &to, 1, offset, RWF_NOWAIT) == 1;
}

}  // namespace llmpq
