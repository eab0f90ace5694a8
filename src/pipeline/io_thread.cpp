#include "pipeline/io_thread.hpp"

#include <fmt/core.h>

#include <utility>

#include "base/timer.hpp"

namespace llmpq {
namespace {

constexpr int64_t kRowsPerRead = 64;
constexpr int64_t kTokensAhead = 16 << 20;  ///< 64 MiB
constexpr size_t kRowsBehind = 1 << 14;
constexpr double kCommitInterval_s = 0.5;  ///< at least every second, says the contract

void move_counts(CommittedCounts& from, CommittedCounts& to) {
  to.rows += from.rows.exchange(0);
  to.failed += from.failed.exchange(0);
  to.prompt_tokens += from.prompt_tokens.exchange(0);
  to.output_tokens += from.output_tokens.exchange(0);
}

}  // namespace

IoThread::IoThread(RequestSource& feed, RowSink& sink, int64_t window, Bell& bell,
                   Timeline* timeline)
    : feed_(feed), sink_(sink), window_(window), bell_(bell), timeline_(timeline), ready_(&bell) {
  last_commit_s_ = steady_seconds();
  thread_ = std::thread([this] { run(); });
}

IoThread::~IoThread() {
  closing_ = true;
  own_bell_.ring();
  if (thread_.joinable()) thread_.join();
}

void IoThread::run() {
  try {
    while (true) {
      // Read first: whatever was added before is seen below.
      const bool closing = closing_;
      const int saves_asked = saves_asked_;
      const bool worked = write_finished() | (!closing && reading_ && read_ahead());
      if (saves_asked != saves_done_) commit();
      saves_done_ = saves_asked;
      commit_if_due();
      if (worked) continue;
      if (closing) break;
      own_bell_.wait(std::chrono::milliseconds(50));
    }
    commit();
  } catch (...) {
    error_ = std::current_exception();
    failed_ = true;
  }
  bell_.ring();
}

bool IoThread::read_ahead() {
  if (feed_.at_end()) {
    if (!feed_done_.exchange(true)) bell_.ring();
    return false;
  }
  if (static_cast<int64_t>(ready_.size()) >= window_ || ready_tokens_ >= kTokensAhead) return false;
  const double begin_s = steady_seconds();
  FeedBatch batch = feed_.read(std::min(kRowsPerRead, window_));
  record("read", std::ssize(batch.requests) + std::ssize(batch.failed), begin_s);
  for (Request& request : batch.requests) {
    ready_tokens_ += static_cast<int64_t>(request.prompt.size());
    ready_.push(std::move(request));
  }
  for (FinishedRow& row : batch.failed) finished_.push(std::move(row));
  seconds_.reading += steady_seconds() - begin_s;
  return true;
}

bool IoThread::write_finished() {
  const Timer timer;
  bool worked = false;
  while (auto row = finished_.take()) {
    pending_.rows += 1;
    if (row->finish_reason == FinishReason::kError) pending_.failed += 1;
    pending_.prompt_tokens += std::max(row->prompt_tokens, 0);
    pending_.output_tokens += static_cast<int64_t>(row->token_ids.size());
    sink_.add(std::move(*row));
    worked = true;
    commit_if_due();
  }
  if (worked) seconds_.writing += timer.seconds();
  return worked;
}

void IoThread::commit_if_due() {
  if (pending_.rows > 0 && steady_seconds() - last_commit_s_ >= kCommitInterval_s) commit();
}

void IoThread::commit() {
  const double begin_s = steady_seconds();
  const int64_t rows = pending_.rows;
  sink_.commit();
  move_counts(pending_, committed_);
  last_commit_s_ = steady_seconds();
  record("commit", rows, begin_s);
}

void IoThread::record(const char* what, int64_t rows, double begin_s) {
  if (!timeline_ || rows == 0) return;
  TraceEvent event;
  event.name = fmt::format("{} {} rows", what, rows);
  event.category = "file";
  event.rank = timeline_->rank;
  event.track = kFiles;
  event.begin_s = begin_s;
  event.end_s = steady_seconds();
  append(timeline_->files, std::move(event));
}

std::optional<Request> IoThread::take() {
  if (failed_) rethrow();
  auto request = ready_.take();
  if (request) {
    ready_tokens_ -= static_cast<int64_t>(request->prompt.size());
    own_bell_.ring();
  }
  return request;
}

bool IoThread::exhausted() const { return feed_done_ && ready_.size() == 0; }

bool IoThread::is_behind() const { return finished_.size() > kRowsBehind; }

void IoThread::add(FinishedRow row) { finished_.push(std::move(row)); }

void IoThread::save_soon() {
  ++saves_asked_;
  own_bell_.ring();
}

bool IoThread::save(double within_s) {
  const int mine = ++saves_asked_;
  own_bell_.ring();
  const Timer timer;
  while (saves_done_ < mine && !failed_ && timer.seconds() < within_s)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return saves_done_ >= mine;
}

void IoThread::close() {
  closing_ = true;
  own_bell_.ring();
  if (thread_.joinable()) thread_.join();
  if (failed_) rethrow();
}

void IoThread::rethrow() { std::rethrow_exception(error_); }

}  // namespace llmpq
