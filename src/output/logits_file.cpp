#include "output/logits_file.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "base/file.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr auto kCode = Exit::kOutput;

void check_room(const std::filesystem::path& folder, int64_t bytes) {
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  CHECK(!error, kCode, "{}: {}", folder.string(), error.message());
  CHECK(space.available >= static_cast<uintmax_t>(bytes), kCode,
        "the unquantized model's logits take {} in {}, which has {} left: name another folder in "
        "TMPDIR, or score a shorter text",
        bytes_text(bytes), folder.string(), bytes_text(static_cast<int64_t>(space.available)));
}

/// Opened, and its name taken away at once.
int nameless_file(const std::filesystem::path& folder) {
  std::string path = folder / "llmpq-logits-XXXXXX";
  const int descriptor = mkstemp(path.data());
  CHECK(descriptor >= 0, kCode, "{}: {}", path, std::strerror(errno));
  unlink(path.c_str());
  return descriptor;
}

/// Calls `move` with what is left until all `bytes` are moved; it returns what read or write does.
template <typename Move>
void move_all(const std::filesystem::path& folder, int64_t bytes, Move move) {
  for (int64_t done = 0; done < bytes;) {
    const ssize_t count = move(done, static_cast<size_t>(bytes - done));
    if (count < 0 && errno == EINTR) continue;
    CHECK(count > 0, kCode, "the unquantized model's logits in {}: {}", folder.string(),
          count < 0 ? std::strerror(errno) : "the file ends too early");
    done += count;
  }
}

}  // namespace

int64_t logits_file_bytes(int64_t rows, int64_t vocab) {
  return rows * vocab * int64_t{sizeof(float)};
}

LogitsFile::LogitsFile(const std::filesystem::path& folder, int64_t rows, int64_t vocab)
    : folder_(folder), vocab_(vocab), bytes_(logits_file_bytes(rows, vocab)) {
  check_room(folder, bytes_);
  descriptor_ = nameless_file(folder);
}

LogitsFile::~LogitsFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

LogitsFile::LogitsFile(LogitsFile&& other) noexcept { *this = std::move(other); }

LogitsFile& LogitsFile::operator=(LogitsFile&& other) noexcept {
  folder_.swap(other.folder_);
  std::swap(descriptor_, other.descriptor_);
  vocab_ = other.vocab_;
  bytes_ = other.bytes_;
  written_ = other.written_;
  return *this;
}

void LogitsFile::append(std::span<const std::byte> rows) {
  move_all(folder_, std::ssize(rows), [&](int64_t done, size_t left) {
    return pwrite(descriptor_, rows.data() + done, left, written_ + done);
  });
  written_ += std::ssize(rows);
}

void LogitsFile::read(int64_t begin, std::span<std::byte> to) const {
  CHECK(begin + std::ssize(to) <= written_, Exit::kInternal,
        "byte {} of the logits is wanted, there are {}", begin + std::ssize(to), written_);
  move_all(folder_, std::ssize(to), [&](int64_t done, size_t left) {
    return pread(descriptor_, to.data() + done, left, begin + done);
  });
}

void LogitsFile::read_row(int64_t row, std::span<float> to) const {
  read(logits_file_bytes(row, vocab_), std::as_writable_bytes(to));
}

}  // namespace llmpq
