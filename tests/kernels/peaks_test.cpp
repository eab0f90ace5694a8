// The loops that measure a CPU do the work that they are counted for, on every instruction set.
#include "kernels/peaks.hpp"

#include <gtest/gtest.h>

#include "kernels/cpu/context.hpp"
#include "kernels/cpu/peak_loops.hpp"
#include "kernels/cpu/thread_pool.hpp"

namespace llmpq {
namespace {

TEST(PeakLoops, CountWhatTheyCompute) {
  for (const Isa isa : available_isas()) {
    const PeakLoops& loops = peak_loops(isa);
    EXPECT_EQ(loops.fma(1000), static_cast<float>(1000 * loops.fma_of_round)) << name(isa);
    EXPECT_EQ(loops.dot_int8(1000), 1000 * loops.products_of_round) << name(isa);
    if (loops.dot_bf16 != nullptr) {
      EXPECT_EQ(loops.dot_bf16(1000), static_cast<float>(1000 * loops.bf16_products_of_round));
    }
  }
}

TEST(PeakLoops, ReadEveryByte) {
  constexpr int64_t kBytes = 4096;
  Buffer memory = allocate_host(kBytes);
  for (const Isa isa : available_isas()) {
    EXPECT_EQ(peak_loops(isa).read(memory.data(), kBytes), 0u);
    for (int64_t i = 0; i < kBytes; i += 8) {  // each number of 8 bytes changes the sum
      memory.as<uint64_t>()[i / 8] = 1;
      ASSERT_EQ(peak_loops(isa).read(memory.data(), kBytes), 1u) << name(isa) << ", byte " << i;
      memory.as<uint64_t>()[i / 8] = 0;
    }
  }
}

TEST(Peaks, OfACpuGrowWithItsInstructions) {
  const std::vector<Isa> isas = available_isas();
  constexpr CpuPeakSizes kSmall{int64_t{16} << 20, 0.0005};
  ThreadPool pool(1);
  const Peaks plain = measure_cpu_peaks(pool, isas.front(), Clock::kCpu, kSmall);
  const Peaks best = measure_cpu_peaks(pool, isas.back(), Clock::kCpu, kSmall);
  EXPECT_GT(plain.read_gbps, 0.5);
  EXPECT_GT(plain.f32_gflops, 1);
  EXPECT_EQ(plain.half_gflops, 0) << "no tiles";
  if (isas.size() == 1) return;
  EXPECT_GT(best.f32_gflops, plain.f32_gflops);
  EXPECT_GT(best.int8_gops, plain.int8_gops);
}

TEST(Peaks, TheHigherOfTwoMeasurementsIsTakenRateByRate) {
  const Peaks peaks = higher({1, 20, 3, 40}, {10, 2, 30, 4});
  EXPECT_EQ(peaks.read_gbps, 10);
  EXPECT_EQ(peaks.f32_gflops, 20);
  EXPECT_EQ(peaks.int8_gops, 30);
  EXPECT_EQ(peaks.half_gflops, 40);
}

TEST(Peaks, OperationsAreMeasuredOnAnyBackend) {
  const auto backend = make_cpu_backend(1, "auto");
  const auto context = backend->make_context();
  const Peaks peaks = measure_operation_peaks(*backend, *context, {1 << 20, 128, 0.002});
  EXPECT_GT(peaks.read_gbps, 0.1);
  EXPECT_GT(peaks.half_gflops, 0.1);
  EXPECT_EQ(peaks.f32_gflops, 0);
}

}  // namespace
}  // namespace llmpq
