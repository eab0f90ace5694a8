// Threads: every item once, exceptions kept, many small loops, two callers at a time.
#include "kernels/cpu/thread_pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "kernels/check.hpp"

namespace llmpq::test {
namespace {

TEST(ThreadPool, EveryItemIsDoneOnce) {
  for (const int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const int64_t items : {0, 1, 2, 7, 100, 1001, 200000})
      for (const int64_t grain : {1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> seen(static_cast<size_t>(items));
        pool.parallel_for(items, grain, [&](int64_t begin, int64_t end, int thread) {
          EXPECT_GE(thread, 0);
          EXPECT_LT(thread, threads);
          for (int64_t i = begin; i < end; ++i) ++seen[i];
        });
        for (const auto& count : seen) ASSERT_EQ(count, 1);
      }
  }
}

TEST(ThreadPool, ManyShortLoopsDoNotMixUp) {
  ThreadPool pool(3);
  for (int64_t round = 0; round < 20000; ++round) {
    std::atomic<int64_t> total{0};
    const int64_t items = 2 + round % 9;
    pool.parallel_for(items, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) total += round + i;
    });
    ASSERT_EQ(total, items * round + items * (items - 1) / 2);
  }
}

/// The first chunk waits for nearly all others, so its thread can do none of its share but the few
/// chunks that it took with the first one.
TEST(ThreadPool, WhoIsDoneTakesWhatAnotherHasLeft) {
  constexpr int kOthers = 90;
  for (const int threads : {2, 3}) {
    ThreadPool pool(threads);
    std::atomic<int> done{0};
    pool.parallel_for(100, 1, [&](int64_t begin, int64_t, int) {
      if (begin == 0) {
        const auto began = std::chrono::steady_clock::now();
        while (done < kOthers &&
               std::chrono::steady_clock::now() - began < std::chrono::seconds(20))
          std::this_thread::yield();
        EXPECT_GE(done, kOthers) << threads << " threads";
      }
      ++done;
    });
    EXPECT_EQ(done, 100);
  }
}

/// Each thread has two chunks, and the first one waits for the three others: the last that its
/// thread has left is done by another.
TEST(ThreadPool, TheLastChunkOfAThreadIsNotLeftToItForEver) {
  ThreadPool pool(2);
  std::atomic<int> done{0};
  pool.parallel_for(4, 1, [&](int64_t begin, int64_t, int) {
    if (begin == 0) {
      const auto began = std::chrono::steady_clock::now();
      while (done < 3 && std::chrono::steady_clock::now() - began < std::chrono::seconds(20))
        std::this_thread::yield();
      EXPECT_EQ(done, 3);
    }
    ++done;
  });
  EXPECT_EQ(done, 4);
}

/// Minutes would pass if threads asked for all of these addresses before they went on.
TEST(ThreadPool, AskingForMemoryHoldsNobodyUp) {
  ThreadPool pool(3);
  std::byte first{};
  int64_t total = 0;
  const auto began = std::chrono::steady_clock::now();
  for (int round = 0; round < 1000; ++round) {
    std::atomic<int64_t> items{0};
    pool.parallel_for(12, 1, [&](int64_t begin, int64_t end, int thread) {
      pool.lines_ahead(thread) = {&first, &first + (int64_t{1} << 42)};
      items += end - begin;
    });
    total += items;
  }
  EXPECT_EQ(total, 12000);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
}

TEST(ThreadPool, ThreadNumbersAreNotSharedAtATime) {
  ThreadPool pool(3);
  std::atomic<bool> busy[3] = {};
  pool.parallel_for(5000, 1, [&](int64_t, int64_t, int thread) {
    EXPECT_FALSE(busy[thread].exchange(true));
    busy[thread] = false;
  });
}

TEST(ThreadPool, AnExceptionReachesTheCallerAndThePoolGoesOn) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 100; ++round) {
      EXPECT_THROW(pool.parallel_for(50, 1,
                                     [&](int64_t begin, int64_t, int) {
                                       if (begin == 49 - round % 50 || threads == 1)
                                         throw std::runtime_error("no");
                                     }),
                   std::runtime_error);
      std::atomic<int> done{0};
      pool.parallel_for(50, 1, [&](int64_t, int64_t, int) { ++done; });
      EXPECT_GE(done, 1);
    }
  }
}

TEST(ThreadPool, TwoCallersTakeTurns) {
  ThreadPool pool(2);
  std::atomic<int64_t> total{0};
  const auto call = [&] {
    for (int round = 0; round < 2000; ++round)
      pool.parallel_for(10, 1, [&](int64_t begin, int64_t end, int) { total += end - begin; });
  };
  std::thread other(call);
  call();
  other.join();
  EXPECT_EQ(total, 2 * 2000 * 10);
}

/// One chunk that computes for long, one that ends at once: whoever waits for the other spends CPU
/// time on it, which must not count.
TEST(ThreadPool, CpuSecondsAreThoseOfComputingAlone) {
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    pool.count_cpu_seconds();
    double computed_s = 0;
    const double began_s = thread_cpu_seconds() + pool.cpu_seconds();
    for (int round = 0; round < 20; ++round)
      pool.parallel_for(2, 1, [&](int64_t begin, int64_t, int) {
        if (begin != 0) return;
        const double start_s = thread_cpu_seconds();
        while (thread_cpu_seconds() - start_s < 1e-3) {
        }
        computed_s += thread_cpu_seconds() - start_s;
      });
    const double counted_s = thread_cpu_seconds() + pool.cpu_seconds() - began_s;
    EXPECT_GE(counted_s, computed_s);
    EXPECT_LT(counted_s, 1.2 * computed_s) << threads << " threads";
  }
}

TEST(ThreadPool, ZeroMeansEveryCpuThatMayBeUsed) {
  EXPECT_GE(usable_cpus(), 1);
  EXPECT_EQ(ThreadPool(0).threads(), usable_cpus());
  EXPECT_THROW(ThreadPool(-1), Error);
  EXPECT_THROW(ThreadPool(100000), Error);
}

}  // namespace
}  // namespace llmpq::test
