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
};

/// About 20 us of waiting before a thread goes to sleep: longer than the gap between two loops.
constexpr int kSpinRounds = 1000;

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
  const uint32_t chunks = static_cast<uint32_t>((items + grain - 1) / grain);
  const uint32_t epoch = epoch_.load() + 1;
  // Close the old loop first: a late worker must not take chunks of it with the new fields.
  for (Share& share : shares_) share.left.store(Range(epoch, 0, 0).bits());
  items_.store(items);
  grain_.store(grain);
  chunks_.store(chunks);
  call_.store(call);
  self_.store(self);
  finished_.store(0);
  for (uint32_t i = 0, begin = 0; i < shares_.size(); ++i) {
    const auto end = static_cast<uint32_t>(uint64_t{chunks} * (i + 1) / shares_.size());
    shares_[i].left.store(Range(epoch, begin, end).bits());
    begin = end;
  }
  epoch_.store(epoch);
  epoch_.notify_all();

  while (run_chunk(epoch, 0)) {
  }
  const int64_t began_ns = counting_ ? thread_cpu_ns() : 0;
  wait_for_chunks(chunks);
  if (counting_) waited_ns_ += thread_cpu_ns() - began_ns;
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

/// The caller's, when no chunk is left to take.
void ThreadPool::wait_for_chunks(uint32_t chunks) {
  for (int i = 0; i < spin_rounds_ && finished_.load() < chunks; ++i) pause();
  for (uint32_t seen = finished_.load(); seen < chunks; seen = finished_.load())
    finished_.wait(seen);
}

/// A chunk of loop `epoch` for `thread`, out of its share or half of another's; -1 if none is left
/// or another loop has begun.
int64_t ThreadPool::take_chunk(uint32_t epoch, int thread) {
  const auto own = static_cast<size_t>(thread), threads = shares_.size();
  for (size_t i = 0; i < threads; ++i) {
    std::atomic<uint64_t>& left = shares_[(own + i) % threads].left;
    uint64_t bits = left.load();
    for (Range range(bits); range.epoch == epoch && range.begin < range.end; range = Range(bits)) {
      if (i == 0) {
        if (left.compare_exchange_weak(bits, Range(epoch, range.begin + 1, range.end).bits()))
          return range.begin;
        continue;
      }
      const uint32_t middle = (range.begin + range.end) / 2;
      if (!left.compare_exchange_weak(bits, Range(epoch, range.begin, middle).bits())) continue;
      // An empty share is nobody else's to write, and the loop cannot end before these are done.
      shares_[own].left.store(Range(epoch, middle + 1, range.end).bits());
      return middle;
    }
  }
  return -1;
}

/// Runs one chunk of loop `epoch`; false if none is left or another loop has begun.
bool ThreadPool::run_chunk(uint32_t epoch, int thread) {
  const Call call = call_.load();
  void* const self = self_.load();
  const int64_t items = items_.load();
  const int64_t grain = grain_.load();
  const uint32_t chunks = chunks_.load();
  const int64_t chunk = take_chunk(epoch, thread);
  if (chunk < 0) return false;
  const int64_t begin = chunk * grain;
  // The caller's own chunks are in its thread's time already.
  const bool counts = counting_ && thread != 0;
  const int64_t began_ns = counts ? thread_cpu_ns() : 0;
  try {
    call(self, begin, std::min(begin + grain, items), thread);
  } catch (...) {
    const std::lock_guard lock(error_mutex_);
    if (!error_) error_ = std::current_exception();
  }
  if (counts) computed_ns_ += thread_cpu_ns() - began_ns;
  if (finished_.fetch_add(1) + 1 == chunks) finished_.notify_all();
  return true;
}

uint32_t ThreadPool::wait_for_loop(uint32_t last_epoch) {
  for (int i = 0; i < spin_rounds_; ++i) {
    if (const uint32_t epoch = epoch_.load(); epoch != last_epoch) return epoch;
    pause();
  }
  epoch_.wait(last_epoch);
  return epoch_.load();
}

void ThreadPool::work(int thread) {
  for (uint32_t epoch = 0;;) {
    epoch = wait_for_loop(epoch);
    if (stop_) return;
    while (run_chunk(epoch, thread)) {
    }
  }
}

}  // namespace llmpq
