#include "input/read_ahead.hpp"

#include <algorithm>
#include <exception>
#include <tuple>

namespace llmpq {
namespace {

constexpr int kThreads = 4;
constexpr int64_t kPieceBytes = 1 << 20;
/// The system keeps and drops what it has read in large units: a look at each so many is enough.
constexpr int64_t kLookBytes = 256 << 10;

bool is_there(const FileReader& file, int64_t offset, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += kLookBytes)
    if (!file.is_cached(offset + at)) return false;
  return file.is_cached(offset + bytes - 1);
}

/// As they lie in their files: the system reads ahead of who reads on where it ended.
void sort(std::vector<FilePart>& parts) {
  std::sort(parts.begin(), parts.end(), [](const FilePart& a, const FilePart& b) {
    return std::tie(a.file, a.begin) < std::tie(b.file, b.begin);
  });
}

}  // namespace

ReadAhead::ReadAhead(std::vector<std::vector<FilePart>> steps, int64_t bytes_ahead)
    : bytes_ahead_(bytes_ahead) {
  for (auto& parts : steps) {
    sort(parts);
    step_begin_.push_back(total_bytes_);
    left_.push_back(0);
    for (const FilePart& part : parts) add_pieces(part, std::ssize(step_begin_) - 1);
  }
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { work(); });
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ReadAhead::add_pieces(const FilePart& part, int64_t step) {
  auto& file = files_[part.file];
  if (!file) file = std::make_unique<FileReader>(part.file, Exit::kModel);
  for (int64_t at = part.begin; at < part.end; at += kPieceBytes) {
    const int64_t bytes = std::min(kPieceBytes, part.end - at);
    pieces_.push_back({file.get(), at, bytes, step, total_bytes_});
    total_bytes_ += bytes;
    ++left_.back();
  }
}

void ReadAhead::begin_step() {
  std::unique_lock lock(mutex_);
  ++step_;
  changed_.notify_all();
  const auto step = static_cast<size_t>(step_);
  changed_.wait(lock, [&] { return stop_ || left_[step] == 0; });
  CHECK(failure_.empty(), Exit::kModel, "{}", failure_);
}

int64_t ReadAhead::bytes_done() const {
  const std::lock_guard lock(mutex_);
  return bytes_done_;
}

bool ReadAhead::may_read(const Piece& piece) const {
  const auto in_use = static_cast<size_t>(std::max<int64_t>(step_, 0));
  return piece.step <= step_ + 1 || piece.before - step_begin_[in_use] < bytes_ahead_;
}

void ReadAhead::work() {
  std::vector<std::byte> room(kPieceBytes);
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock,
                  [&] { return stop_ || next_ == pieces_.size() || may_read(pieces_[next_]); });
    if (stop_ || next_ == pieces_.size()) return;
    const Piece piece = pieces_[next_++];
    lock.unlock();
    std::string failure;
    try {
      const auto to = std::span(room).first(static_cast<size_t>(piece.bytes));
      if (!is_there(*piece.file, piece.offset, piece.bytes)) piece.file->read_at(piece.offset, to);
    } catch (const std::exception& error) {
      failure = error.what();
    }
    lock.lock();
    bytes_done_ += piece.bytes;
    if (--left_[static_cast<size_t>(piece.step)] == 0) changed_.notify_all();
    if (failure.empty()) continue;
    failure_ = failure;
    stop_ = true;
    changed_.notify_all();
  }
}

}  // namespace llmpq
