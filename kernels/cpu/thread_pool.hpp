// Threads made once, and a loop spread over them. Each thread has a share of its own, which it goes
// through from front to back, since memory is fastest where one thread reads on and on; who is
// done takes half of what another has left. Which thread does what is left to chance: no result may
// depend on it. Threads that wait can ask memory for what they will read next.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "kernels/cpu/lines_ahead.hpp"

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

  /// Calls body(begin, end, thread) for chunks of `grain` items (more where there would be too many
  /// chunks) until [0, items) is covered; `thread` is in [0, threads()) and not shared by two calls
  /// at a time. Returns when all is done; the first exception of a body is thrown then. One loop at
  /// a time: a second caller waits. Not to be called from a body.
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

  /// Memory that `thread` asks for, line by line, whenever it waits for others or for the next
  /// loop. To be used from a body, for its own thread.
  LinesAhead& lines_ahead(int thread) { return ahead_[static_cast<size_t>(thread)].lines; }

 private:
  using Call = void (*)(void* self, int64_t begin, int64_t end, int thread);

  /// Chunks [begin, end) of a loop.
  struct Chunks {
    uint32_t begin = 0, end = 0;
    uint32_t count() const { return end - begin; }
  };
  /// Chunks that a thread has left: the loop's number in the high half, then the first chunk and
  /// the end, 16 bits each. Its owner takes chunks from the front, others from the back, both by
  /// compare-exchange, and who succeeded has thereby read fields of that very loop.
  struct alignas(64) Share {
    std::atomic<uint64_t> left{0};
  };
  /// Read and written by its thread alone.
  struct alignas(64) Ahead {
    LinesAhead lines;
  };
  /// A loop as it was published: the threads' own copy.
  struct Loop {
    uint32_t epoch, chunks;
    int64_t items, grain;
    Call call;
    void* self;
  };

  void run(int64_t items, int64_t grain, Call call, void* self);
  void publish(const Loop& loop);
  Loop read_loop(uint32_t epoch) const;
  void work(int thread);
  Chunks take_own(uint32_t epoch, int thread);
  Chunks take_of_others(uint32_t epoch, int thread, uint32_t least);
  Chunks wait_for_last(uint32_t epoch, int thread);
  void run_loop(const Loop& loop, int thread);
  void run_chunks(const Loop& loop, Chunks chunks, int thread);
  template <typename Done>
  bool spin(int thread, int rounds, Done done);
  void wait_for_chunks(uint32_t chunks);
  uint32_t wait_for_loop(uint32_t last_epoch, int thread);

  std::vector<Share> shares_;
  std::vector<Ahead> ahead_;

  // One loop: a line that the caller writes, and one that who is done adds to.
  alignas(64) std::atomic<int64_t> items_{0};
  std::atomic<int64_t> grain_{1};
  std::atomic<uint32_t> chunks_{0};
  std::atomic<uint32_t> epoch_{0};  ///< what waiting workers watch
  std::atomic<Call> call_{nullptr};
  std::atomic<void*> self_{nullptr};
  std::atomic<bool> stop_{false};
  std::atomic<bool> counting_{false};
  alignas(64) std::atomic<uint32_t> finished_{0};  ///< chunks; what the caller watches

  std::atomic<int64_t> computed_ns_{0}, waited_ns_{0};
  int spin_rounds_ = 0;
  std::mutex one_loop_, error_mutex_;
  std::exception_ptr error_;
  std::vector<std::thread> workers_;
};

}  // namespace llmpq
