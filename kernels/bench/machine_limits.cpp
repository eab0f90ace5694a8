#include "kernels/bench/machine_limits.hpp"

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <vector>

#include "kernels/cpu/context.hpp"

namespace llmpq {
namespace {

constexpr int kPasses = 7;

/// Best rate of kPasses calls of work(thread) on every thread at once; each does `amount`.
template <typename Work>
double best_rate(int threads, Clock clock, double amount, Work work) {
  ThreadPool pool(threads);
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const double start = seconds(clock);
    pool.parallel_for(threads, 1, [&](int64_t begin, int64_t, int) { work(begin); });
    best = std::max(best, amount * threads / (seconds(clock) - start));
  }
  return best;
}

[[gnu::target("avx2")]] int64_t read_all(const __m256i* from, int64_t vectors) {
  __m256i sum[4] = {};
  for (int64_t i = 0; i + 4 <= vectors; i += 4)
    for (int j = 0; j < 4; ++j) sum[j] = _mm256_add_epi64(sum[j], _mm256_load_si256(from + i + j));
  const __m256i all =
      _mm256_add_epi64(_mm256_add_epi64(sum[0], sum[1]), _mm256_add_epi64(sum[2], sum[3]));
  return _mm256_extract_epi64(all, 0) + _mm256_extract_epi64(all, 3);
}

[[gnu::target("avx2,fma")]] float multiply_add_256(int64_t rounds) {
  __m256 sum[12];
  for (int j = 0; j < 12; ++j) sum[j] = _mm256_set1_ps(static_cast<float>(j));
  const __m256 a = _mm256_set1_ps(0.5f);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) sum[j] = _mm256_fmadd_ps(sum[j], a, a);
  }
  float total = 0;
  for (const __m256& s : sum) total += _mm256_cvtss_f32(s);
  return total;
}

[[gnu::target("avx512f")]] float multiply_add_512(int64_t rounds) {
  __m512 sum[12];
  for (int j = 0; j < 12; ++j) sum[j] = _mm512_set1_ps(static_cast<float>(j));
  const __m512 a = _mm512_set1_ps(0.5f);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) sum[j] = _mm512_fmadd_ps(sum[j], a, a);
  }
  float total = 0;
  for (const __m512& s : sum) total += _mm512_cvtss_f32(s);
  return total;
}

volatile float float_sink;
volatile int64_t int_sink;

}  // namespace

double seconds(Clock clock) {
  timespec now{};
  clock_gettime(clock == Clock::kCpu ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double measure_read_gbps(int threads, Clock clock) {
  constexpr int64_t kBytes = int64_t{512} << 20;
  Buffer memory = allocate_host(kBytes);
  std::fill_n(memory.as<char>(), kBytes, 1);
  const int64_t share = kBytes / threads / 128 * 128;
  return best_rate(threads, clock, static_cast<double>(share) * 1e-9, [&](int64_t i) {
    int_sink = read_all(reinterpret_cast<const __m256i*>(memory.data() + i * share), share / 32);
  });
}

double measure_fma_gflops(int threads, Clock clock) {
  const bool wide = __builtin_cpu_supports("avx512f");
  constexpr int64_t kRounds = 4000000;
  const double flops = static_cast<double>(kRounds) * 12 * (wide ? 16 : 8) * 2;
  return best_rate(threads, clock, flops * 1e-9, [&](int64_t) {
    float_sink = wide ? multiply_add_512(kRounds) : multiply_add_256(kRounds);
  });
}

}  // namespace llmpq
