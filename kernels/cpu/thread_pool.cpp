#include "kernels/cpu/thread_pool.hpp"

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "kernels/check.hpp"
#include "kernels/cpu/pause.hpp"

namespace llmpq {
namespace {

/// CPUs of a cgroup v2 "quota period" line, rounded up; 0 if there is no limit.
int quota_cpus(const std::string& file) {
  std::ifstream in(file);
  std::string quota;
  double period = 0;
  if (!(in >> quota >> period) || quota == "max" || period <= 0) return 0;
  const double cpus = std::atof(quota.c_str()) / period;
  return cpus > 0 ? static_cast<int>(cpus + 0.999) : 0;
}

/// The tightest quota from this process's cgroup (v2) up to the root; 0 if there is none.
int cgroup_cpus() {
  std::ifstream in("/proc/self/cgroup");
  int tightest = 0;
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("0::")) continue;
    for (std::string path = line.substr(3); !path.empty(); path.resize(path.rfind('/'))) {
      const int cpus = quota_cpus("/sys/fs/cgroup" + path + "/cpu.max");
      if (cpus > 0) tightest = tightest == 0 ? cpus : std::min(tightest, cpus);
      if (path.rfind('/') == std::string::npos) break;
    }
  }
  return tightest;
}

int64_t thread_cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// Chunks are counted in 16 bits.
constexpr int64_t kMostChunks = 0xffff;

/// Chunks [begin, end) of loop `epoch`.
struct Range {
  uint32_t epoch, begin, end;

  explicit Range(uint64_t bits)
      : epoch(static_cast<uint32_t>(bits >> 32)),
        begin(static_cast<uint32_t>(bits >> 16 & 0xffff)),
        end(static_cast<uint32_t>(bits & 0xffff)) {}
  Range(uint32_t of, uint32_t first, uint32_t last) : epoch(of), begin(first), end(last) {}
  uint64_t bits() const { return uint64_t{epoch} << 32 | begin << 16 | end; }
  uint32_t count() const { return begin < end ? end - begin : 0; }
};

/// How many of `left` chunks a thread takes at a time: few enough that others find some, and one by
/// one at the end.
uint32_t some_of(uint32_t left) { return (left + 7) / 8; }

/// About 20 us of waiting before a thread goes to sleep: longer than the gap between two loops.
constexpr int kSpinRounds = 1000;
/// Fewer chunks than these are left to their thread for a while, 2 us and what there is to ask for.
/// Their memory is on its way there, so that taking some would take longer; but the thread may have
/// been put aside.
constexpr uint32_t kWorthTaking = 4;
constexpr int kPatientRounds = 100;
/// Lines that a CPU's first cache can wait for: those beyond would be dropped. Measured, on Zen 5.
constexpr int64_t kLinesForPause = 24;

}  // namespace

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cpus = 1;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    cpus = std::max(1, CPU_COUNT(&set));
  } else {  // more CPUs than a cpu_set_t can name
    cpus = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  const int quota = cgroup_cpus();
  return quota > 0 ? std::min(cpus, quota) : cpus;
}

double thread_cpu_seconds() { return 1e-9 * static_cast<double>(thread_cpu_ns()); }

ThreadPool::ThreadPool(int threads) {
  CHECK(threads >= 0 && threads <= 1024, Exit::kUsage, "--threads {}: want 0 (all) to 1024",
        threads);
  const int cpus = usable_cpus();
  if (threads == 0) threads = cpus;
  spin_rounds_ = threads <= cpus ? kSpinRounds : 0;
  shares_ = std::vector<Share>(static_cast<size_t>(threads));
  ahead_ = std::vector<Ahead>(static_cast<size_t>(threads));
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(int64_t items, int64_t grain, Call call, void* self) {
  if (items <= 0) return;
  grain = std::max({int64_t{1}, grain, (items + kMostChunks - 1) / kMostChunks});
  if (workers_.empty() || items <= grain) {
    call(self, 0, items, 0);
    return;
  }
  const std::lock_guard lock(one_loop_);
  const Loop loop{.epoch = epoch_.load() + 1,
                  .chunks = static_cast<uint32_t>((items + grain - 1) / grain),
                  .items = items,
                  .grain = grain,
                  .call = call,
                  .self = self};
  publish(loop);
  run_loop(loop, 0);
  const int64_t began_ns = counting_ ? thread_cpu_ns() : 0;
  wait_for_chunks(loop.chunks);
  if (counting_) waited_ns_ += thread_cpu_ns() - began_ns;
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

/// The shares of the loop before are closed first, and whoever reads a field of this one sees that:
/// a late worker must not take chunks of that loop with these fields.
void ThreadPool::publish(const Loop& loop) {
  constexpr auto kRelease = std::memory_order_release;
  for (Share& share : shares_) share.left.store(Range(loop.epoch, 0, 0).bits(), kRelease);
  items_.store(loop.items, kRelease);
  grain_.store(loop.grain, kRelease);
  chunks_.store(loop.chunks, kRelease);
  call_.store(loop.call, kRelease);
  self_.store(loop.self, kRelease);
  finished_.store(0, kRelease);
  for (uint32_t i = 0, begin = 0; i < shares_.size(); ++i) {
    const auto end = static_cast<uint32_t>(uint64_t{loop.chunks} * (i + 1) / shares_.size());
    shares_[i].left.store(Range(loop.epoch, begin, end).bits(), kRelease);
    begin = end;
  }
  epoch_.store(loop.epoch);
  epoch_.notify_all();
}

/// The fields of loop `epoch`, or of a later one, whose chunks nobody gets by that number.
ThreadPool::Loop ThreadPool::read_loop(uint32_t epoch) const {
  constexpr auto kAcquire = std::memory_order_acquire;
  return {.epoch = epoch,
          .chunks = chunks_.load(kAcquire),
          .items = items_.load(kAcquire),
          .grain = grain_.load(kAcquire),
          .call = call_.load(kAcquire),
          .self = self_.load(kAcquire)};
}

/// Waits until done(), up to so many pauses; false if they did not suffice. A thread that has lines
/// to ask for makes no pause.
template <typename Done>
bool ThreadPool::spin(int thread, int rounds, Done done) {
  for (int round = 0; round < rounds;) {
    if (done()) return true;
    round += lines_ahead(thread).ask(kLinesForPause) ? 0 : 1;
    pause();
  }
  return done();
}

/// The caller's, when no chunk is left to take.
void ThreadPool::wait_for_chunks(uint32_t chunks) {
  if (spin(0, spin_rounds_, [&] { return finished_.load() == chunks; })) return;
  for (uint32_t seen = finished_.load(); seen < chunks; seen = finished_.load())
    finished_.wait(seen);
}

/// Chunks of loop `epoch` out of the thread's share; none if it is empty or another loop has begun.
ThreadPool::Chunks ThreadPool::take_own(uint32_t epoch, int thread) {
  std::atomic<uint64_t>& left = shares_[static_cast<size_t>(thread)].left;
  uint64_t bits = left.load(std::memory_order_acquire);
  for (Range range(bits); range.epoch == epoch && range.count() > 0; range = Range(bits)) {
    const uint32_t end = range.begin + some_of(range.count());
    if (left.compare_exchange_weak(bits, Range(epoch, end, range.end).bits()))
      return {range.begin, end};
  }
  return {};
}

/// Half of what another thread has left, if that is at least so much.
ThreadPool::Chunks ThreadPool::take_of_others(uint32_t epoch, int thread, uint32_t least) {
  const auto own = static_cast<size_t>(thread), threads = shares_.size();
  for (size_t i = 1; i < threads; ++i) {
    std::atomic<uint64_t>& left = shares_[(own + i) % threads].left;
    uint64_t bits = left.load(std::memory_order_acquire);
    for (Range range(bits); range.epoch == epoch && range.count() >= least; range = Range(bits)) {
      const uint32_t middle = (range.begin + range.end) / 2;
      if (!left.compare_exchange_weak(bits, Range(epoch, range.begin, middle).bits())) continue;
      // An empty share is nobody else's to write, and the loop cannot end before these are done.
      const uint32_t end = middle + some_of(range.end - middle);
      shares_[own].left.store(Range(epoch, end, range.end).bits());
      return {middle, end};
    }
  }
  return {};
}

/// Of chunks that another thread was given time to begin itself and has not.
ThreadPool::Chunks ThreadPool::wait_for_last(uint32_t epoch, int thread) {
  const auto nothing_left = [&] {
    return std::none_of(shares_.begin(), shares_.end(), [&](const Share& share) {
      const Range range(share.left.load(std::memory_order_acquire));
      return range.epoch == epoch && range.count() > 0;
    });
  };
  if (spin(thread, std::min(spin_rounds_, kPatientRounds), nothing_left)) return {};
  return take_of_others(epoch, thread, 1);
}

void ThreadPool::run_chunks(const Loop& loop, Chunks chunks, int thread) {
  // The caller's own chunks are in its thread's time already.
  const bool counts = counting_ && thread != 0;
  const int64_t began_ns = counts ? thread_cpu_ns() : 0;
  try {
    for (int64_t chunk = chunks.begin; chunk < chunks.end; ++chunk) {
      const int64_t begin = chunk * loop.grain;
      loop.call(loop.self, begin, std::min(begin + loop.grain, loop.items), thread);
    }
  } catch (...) {
    const std::lock_guard lock(error_mutex_);
    if (!error_) error_ = std::current_exception();
  }
  if (counts) computed_ns_ += thread_cpu_ns() - began_ns;
}

/// Runs chunks of a loop until none is left for this thread, and tells then how many they were:
/// at each chunk it would hold up the others that do.
void ThreadPool::run_loop(const Loop& loop, int thread) {
  uint32_t done = 0;
  while (true) {
    Chunks chunks = take_own(loop.epoch, thread);
    if (chunks.count() == 0) chunks = take_of_others(loop.epoch, thread, kWorthTaking);
    if (chunks.count() == 0) chunks = wait_for_last(loop.epoch, thread);
    if (chunks.count() == 0) break;
    run_chunks(loop, chunks, thread);
    done += chunks.count();
  }
  if (done > 0 && finished_.fetch_add(done) + done == loop.chunks) finished_.notify_all();
}

uint32_t ThreadPool::wait_for_loop(uint32_t last_epoch, int thread) {
  if (!spin(thread, spin_rounds_, [&] { return epoch_.load() != last_epoch; }))
    epoch_.wait(last_epoch);
  return epoch_.load();
}

void ThreadPool::work(int thread) {
  for (uint32_t epoch = 0;;) {
    epoch = wait_for_loop(epoch, thread);
    if (stop_) return;
    run_loop(read_loop(epoch), thread);
  }
}

}  // namespace llmpq
