// The thread of rank 0 that owns HDF5: reads prompts ahead of the scheduler and writes finished
// rows, so that neither MPI nor computing ever waits for a disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>

#include "pipeline/feed.hpp"
#include "pipeline/queue.hpp"
#include "pipeline/row_sink.hpp"
#include "pipeline/timeline.hpp"

namespace llmpq {

/// How long the thread was at work, in seconds: what is left of the run it waited.
struct IoSeconds {
  std::atomic<double> reading{0};  ///< and tokenizing
  std::atomic<double> writing{0};  ///< and committing
};

/// Rows that are safe on disk, and what they hold. Failed rows are counted in rows too.
struct CommittedCounts {
  std::atomic<int64_t> rows{0};
  std::atomic<int64_t> failed{0};
  std::atomic<int64_t> prompt_tokens{0};
  std::atomic<int64_t> output_tokens{0};
};

class IoThread {
 public:
  /// Keeps up to `window` requests (and some 64 MiB of their tokens) read ahead. Rings `bell` when
  /// requests are there. `timeline` may be null; its `files` are the thread's until close().
  IoThread(RequestSource& feed, RowSink& sink, int64_t window, Bell& bell,
           Timeline* timeline = nullptr);
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  /// The next request, if one is ready. Throws what the thread met: Error(kPrompts) or (kOutput).
  std::optional<Request> take();
  /// No request is ready and none will come.
  bool exhausted() const;
  void add(FinishedRow row);
  /// So many rows wait to be written that no prompt should be begun: memory is bounded.
  bool is_behind() const;
  /// No more prompts are read; what is ready stays.
  void stop_reading() { reading_ = false; }
  /// Commits at once what was added, without waiting for it.
  void save_soon();
  /// Commits what was added; false if that failed or takes longer. For a run that is about to end
  /// badly: the thread is left as it is, and nothing is thrown.
  bool save(double within_s);
  /// Waits until all rows are committed, then ends the thread. Throws what the thread met.
  void close();

  const CommittedCounts& committed() const { return committed_; }
  const IoSeconds& seconds() const { return seconds_; }

 private:
  void run();
  bool read_ahead();
  bool write_finished();
  void commit_if_due();
  void commit();
  void record(const char* what, int64_t rows, double begin_s);
  void rethrow();

  RequestSource& feed_;
  RowSink& sink_;
  const int64_t window_;
  Bell& bell_;
  Timeline* const timeline_;
  Bell own_bell_;
  Queue<Request> ready_;
  Queue<FinishedRow> finished_{&own_bell_};
  std::atomic<int64_t> ready_tokens_{0};
  std::atomic<bool> feed_done_{false};
  std::atomic<bool> reading_{true};
  std::atomic<int> saves_asked_{0}, saves_done_{0};
  std::atomic<bool> closing_{false};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
  CommittedCounts committed_;
  CommittedCounts pending_;  ///< given to the sink, not committed yet
  IoSeconds seconds_;
  double last_commit_s_ = 0;
  std::thread thread_;
};

}  // namespace llmpq
