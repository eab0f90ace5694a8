#include "pipeline/io_thread.hpp"

#include <fmt/core.h>

#include <utility>

#include "base/timer.hpp"

namespace llmpq {
namespace {

constexpr int64_t kRowsPerRead = 64;
constexpr int64_t kTokensAhead = 16 << 20;  ///< 64 MiB
constexpr double kCommitInterval_s = 0.5;   ///< at least every second, says the contract

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
      const bool closing = closing_;  // read first: whatever was added before it is seen below
      const bool worked = write_finished() | (!closing && read_ahead());
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
  return true;
}

bool IoThread::write_finished() {
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
  return worked;
}

void IoThread::commit_if_due() {
  if (pending_.rows == 0 || steady_seconds() - last_commit_s_ < kCommitInterval_s) return;
  commit();
  last_commit_s_ = steady_seconds();
}

void IoThread::commit() {
  const double begin_s = steady_seconds();
  const int64_t rows = pending_.rows;
  sink_.commit();
  move_counts(pending_, committed_);
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

void IoThread::add(FinishedRow row) { finished_.push(std::move(row)); }

void IoThread::close() {
  closing_ = true;
  own_bell_.ring();
  if (thread_.joinable()) thread_.join();
  if (failed_) rethrow();
}

void IoThread::rethrow() { std::rethrow_exception(error_); }

}  // namespace llmpq
