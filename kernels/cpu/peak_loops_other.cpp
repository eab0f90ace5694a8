// The loops in plain C++, of 16 bytes at a time where the compiler has such vectors.
#include <array>
#include <cstddef>

#include "kernels/cpu/peak_loops.hpp"

namespace llmpq {
namespace {

// Enough independent sums to hide the latency of an instruction: 4 cycles, four of them a cycle.
constexpr int kSums = 16, kLanes = 4;
constexpr int64_t kBytes = 1024;  ///< of int8 products in a round

using Numbers = uint64_t __attribute__((vector_size(16)));

uint64_t read(const void* from, int64_t bytes) {
  const auto* vectors = static_cast<const Numbers*>(from);
  std::array<Numbers, 4> sum{};
  for (int64_t i = 0; i < bytes / 16; i += 4)
    for (int j = 0; j < 4; ++j) sum[static_cast<size_t>(j)] += vectors[i + j];
  const Numbers all = sum[0] + sum[1] + sum[2] + sum[3];
  return all[0] + all[1];
}

float fma(int64_t rounds) {
  const volatile float hidden = 1;  // or the compiler would leave the multiplication out
  const float one = hidden;
  std::array<float, kSums * kLanes> sums{};
  for (int64_t i = 0; i < rounds; ++i)
    for (float& sum : sums) sum = __builtin_fmaf(sum, one, one);
  float all = 0;
  for (const float sum : sums) all += sum;
  return all;
}

/// As the plain kernels multiply: bytes from the first cache.
int64_t dot_int8(int64_t rounds) {
  std::array<int8_t, kBytes> a, b;
  a.fill(1);
  b.fill(1);
  int64_t all = 0;
  for (int64_t i = 0; i < rounds; ++i) {
    asm volatile("" : : "r"(a.data()), "r"(b.data()) : "memory");  // they might have changed
    int32_t sum = 0;
    for (size_t j = 0; j < a.size(); ++j) sum += int32_t{a[j]} * int32_t{b[j]};
    all += sum;
  }
  return all;
}

constexpr PeakLoops kPlain{read, fma, int64_t{kSums} * kLanes, dot_int8, kBytes, nullptr, 0};

}  // namespace

const PeakLoops& peak_loops_plain() { return kPlain; }

}  // namespace llmpq
