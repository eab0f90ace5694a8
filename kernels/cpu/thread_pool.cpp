#include "kernels/cpu/thread_pool.hpp"

#include <immintrin.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "kernels/check.hpp"

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
  grain = std::max({int64_t{1}, grain, items / 0x7fffffff + 1});
  if (workers_.empty() || items <= grain) {
    call(self, 0, items, 0);
    return;
  }
  const std::lock_guard lock(one_loop_);
  const uint32_t chunks = static_cast<uint32_t>((items + grain - 1) / grain);
  const uint32_t epoch = epoch_.load() + 1;
  // Close the old loop first: a late worker must not pair its ticket with the new fields.
  ticket_.store((static_cast<uint64_t>(epoch) << 32) | 0xffffffffu);
  items_.store(items);
  grain_.store(grain);
  chunks_.store(chunks);
  call_.store(call);
  self_.store(self);
  finished_.store(0);
  ticket_.store(static_cast<uint64_t>(epoch) << 32);
  epoch_.store(epoch);
  epoch_.notify_all();

  while (take_chunk(epoch, 0)) {
  }
  const int64_t began_ns = counting_ ? thread_cpu_ns() : 0;
  wait_for_chunks(chunks);
  if (counting_) waited_ns_ += thread_cpu_ns() - began_ns;
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

/// The caller's, when no chunk is left to take.
void ThreadPool::wait_for_chunks(uint32_t chunks) {
  for (int i = 0; i < spin_rounds_ && finished_.load() < chunks; ++i) _mm_pause();
  for (uint32_t seen = finished_.load(); seen < chunks; seen = finished_.load())
    finished_.wait(seen);
}

/// Runs one chunk of loop `epoch`; false if none is left or another loop has begun.
bool ThreadPool::take_chunk(uint32_t epoch, int thread) {
  const Call call = call_.load();
  void* const self = self_.load();
  const int64_t items = items_.load();
  const int64_t grain = grain_.load();
  const uint32_t chunks = chunks_.load();
  uint64_t ticket = ticket_.load();
  do {
    if (static_cast<uint32_t>(ticket >> 32) != epoch) return false;
    if (static_cast<uint32_t>(ticket) >= chunks) return false;
  } while (!ticket_.compare_exchange_weak(ticket, ticket + 1));
  const int64_t begin = static_cast<int64_t>(static_cast<uint32_t>(ticket)) * grain;
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
    _mm_pause();
  }
  epoch_.wait(last_epoch);
  return epoch_.load();
}

void ThreadPool::work(int thread) {
  for (uint32_t epoch = 0;;) {
    epoch = wait_for_loop(epoch);
    if (stop_) return;
    while (take_chunk(epoch, thread)) {
    }
  }
}

}  // namespace llmpq
