// Threads made once, and a loop spread over them. Which thread takes which chunk is left to chance:
// no result may depend on it.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace llmpq {

/// CPUs this process may use: its affinity mask, limited by the cgroup's CPU quota. At least 1.
int usable_cpus();

/// CPU seconds that the calling thread has used.
double thread_cpu_seconds();

class ThreadPool {
 public:
  /// `threads` includes the caller's own; 0 = usable_cpus(). Error(kUsage) outside [0, 1024].
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// From now on cpu_seconds() counts, which costs two looks at a clock for each chunk.
  void count_cpu_seconds() { counting_ = true; }
  /// CPU seconds that the other threads computed, less those that callers spent waiting for them:
  /// with thread_cpu_seconds() of the caller, what computing took.
  double cpu_seconds() const { return 1e-9 * static_cast<double>(computed_ns_ - waited_ns_); }

  /// Calls body(begin, end, thread) for chunks of at most `grain` items until [0, items) is
  /// covered; `thread` is in [0, threads()) and not shared by two calls at a time. Returns when all
  /// is done; the first exception of a body is thrown then. One loop at a time: a second caller
  /// waits. Not to be called from a body.
  template <typename Body>
  void parallel_for(int64_t items, int64_t grain, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    run(
        items, grain,
        [](void* self, int64_t begin, int64_t end, int thread) {
          (*static_cast<Plain*>(self))(begin, end, thread);
        },
        const_cast<void*>(static_cast<const void*>(&body)));
  }

 private:
  using Call = void (*)(void* self, int64_t begin, int64_t end, int thread);

  void run(int64_t items, int64_t grain, Call call, void* self);
  void work(int thread);
  bool take_chunk(uint32_t epoch, int thread);
  void wait_for_chunks(uint32_t chunks);
  uint32_t wait_for_loop(uint32_t last_epoch);

  // One loop. `ticket_` holds its number (high half) and the next free chunk (low half); a thread
  // that took a chunk by compare-exchange has thereby read fields of that very loop.
  std::atomic<uint64_t> ticket_{0};
  std::atomic<int64_t> items_{0}, grain_{1};
  std::atomic<uint32_t> chunks_{0};
  std::atomic<uint32_t> finished_{0};
  std::atomic<Call> call_{nullptr};
  std::atomic<void*> self_{nullptr};

  std::atomic<uint32_t> epoch_{0};  ///< what sleeping workers watch
  std::atomic<bool> stop_{false};
  std::atomic<bool> counting_{false};
  std::atomic<int64_t> computed_ns_{0}, waited_ns_{0};
  int spin_rounds_ = 0;
  std::mutex one_loop_, error_mutex_;
  std::exception_ptr error_;
  std::vector<std::thread> workers_;
};

}  // namespace llmpq
