#include "output/logits_file.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/file.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr auto kCode = Exit::kOutput;
constexpr int64_t kChunkBytes = int64_t{1} << 20;

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
h5::File nameless_file(const std::filesystem::path& folder, int64_t bytes) {
  check_room(folder, bytes);
  std::string path = folder / "llmpq-logits-XXXXXX";
  const int descriptor = mkstemp(path.data());
  CHECK(descriptor >= 0, kCode, "{}: {}", path, std::strerror(errno));
  close(descriptor);
  h5::File file = h5::File::create(path, false, kCode);
  unlink(path.c_str());
  return file;
}

}  // namespace

int64_t logits_file_bytes(int64_t rows, int64_t vocab) {
  return rows * vocab * int64_t{sizeof(float)};
}

LogitsFile::LogitsFile(const std::filesystem::path& folder, int64_t rows, int64_t vocab)
    : file_(nameless_file(folder, logits_file_bytes(rows, vocab))),
      logits_(file_.create_dataset("logits",
                                   {.type = h5::value_type<float>(),
                                    .chunk_rows = std::max<int64_t>(1, kChunkBytes / (vocab * 4)),
                                    .inner = {vocab},
                                    .compress = false})),
      vocab_(vocab) {}

void LogitsFile::append(std::span<const float> rows) {
  logits_.write(written_, rows);
  written_ += std::ssize(rows) / vocab_;
}

std::vector<float> LogitsFile::next(int64_t rows) {
  CHECK(read_ + rows <= written_, Exit::kInternal, "row {} of the logits is wanted, there are {}",
        read_ + rows, written_);
  std::vector<float> values = logits_.read<float>(read_, rows);
  read_ += rows;
  return values;
}

}  // namespace llmpq
