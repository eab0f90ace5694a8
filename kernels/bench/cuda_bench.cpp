#include "kernels/bench/cuda_bench.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "kernels/check.hpp"
#include "kernels/peaks.hpp"

namespace llmpq {
namespace {

constexpr double kEnoughSeconds = 0.05;
constexpr int64_t kCallsOfGraph = 16;
constexpr int kGraphWarmups = 4;  ///< a key is recorded only when it comes back

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

CudaBench open_bench(const std::string& device) {
  CudaBench bench;
  bench.dry = device == "dry";
  bench.graphs = setting("LLMPQ_BENCH_GRAPH") == "1";
  bench.f32_inputs = setting("LLMPQ_BENCH_INPUTS") == "f32";
  bench.filter = setting("LLMPQ_BENCH_FILTER");
  bench.device = bench.dry ? make_cpu_backend(0, "auto") : make_cuda_backend({});
  bench.queue = bench.device->make_context();
  bench.host = make_cpu_backend(0, "auto");
  bench.threads = bench.host->make_context();
  return bench;
}

/// One group; what breaks in it (out of memory, a failed launch) does not stop the others.
void run_group(CudaBench& bench, const char* name, void (*group)(CudaBench&)) {
  try {
    group(bench);
  } catch (const Error& error) {
    print_wrong(bench, name, error.what());
  }
}

}  // namespace

std::vector<float> bench_numbers(int64_t count, uint32_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  uint32_t state = seed;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
  }
  return values;
}

double seconds_per_call(CudaBench& bench, int64_t period,
                        const std::function<void(int64_t)>& call) {
  const int64_t batch = bench.graphs ? (kCallsOfGraph + period - 1) / period * period : 1;
  const uint64_t key = ++bench.recordings;
  int64_t next = 0;
  const auto run = [&](int64_t batches) {
    const double began = seconds(Clock::kReal);
    for (int64_t i = 0; i < batches; ++i) {
      const auto calls = [&] {
        for (int64_t j = 0; j < batch; ++j) call(next++ % period);
      };
      if (bench.graphs)
        bench.queue->run_recorded(key, calls);
      else
        calls();
    }
    bench.queue->synchronize();
    return seconds(Clock::kReal) - began;
  };
  const double enough = bench.dry ? kEnoughSeconds / 100 : kEnoughSeconds;
  run(bench.graphs ? kGraphWarmups : std::min<int64_t>(period, 3));
  for (int64_t batches = 2;;) {
    const double took = run(batches);
    if (took >= enough) return took / static_cast<double>(batches * batch);
    const double factor = std::clamp(1.2 * enough / std::max(took, 1e-9), 1.5, 100.0);
    batches = static_cast<int64_t>(std::ceil(static_cast<double>(batches) * factor));
  }
}

std::string difference(const std::vector<float>& actual, const std::vector<float>& wanted,
                       double share) {
  float largest = 0;
  for (const float value : wanted) largest = std::max(largest, std::fabs(value));
  size_t worst = 0;
  double worst_error = -1;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double error = std::fabs(static_cast<double>(actual[i]) - wanted[i]);
    if (std::isnan(error) || error > worst_error) worst = i, worst_error = error;
    if (std::isnan(error)) break;
  }
  if (worst_error <= share * largest) return "";
  return fmt::format("element {}: got {}, want {} within {:.2g}", worst, actual[worst],
                     wanted[worst], share * largest);
}

void print_row(CudaBench& bench, const BenchCase& c, double seconds) {
  const double gbps = c.work.bytes * 1e-9 / seconds, tflops = c.work.flops * 1e-12 / seconds;
  fmt::print("| {} | {:.1f} | {:.0f} | {:.2f} | {:.0f} % | {:.0f} % |\n", c.name, seconds * 1e6,
             gbps, tflops, 100 * gbps / bench.copy_gbps, 100 * tflops / bench.matmul_tflops);
  std::fflush(stdout);
  ++bench.cases;
}

void print_wrong(CudaBench& bench, const std::string& name, const std::string& wrong) {
  fmt::print("| {} | WRONG: {} | | | | |\n", name, wrong);
  std::fflush(stdout);
  ++bench.failures;
}

int run_cuda_bench(const std::string& device) try {
  CudaBench bench = open_bench(device);
  const double began = seconds(Clock::kReal);
  const OperationSizes sizes =
      bench.dry ? OperationSizes{int64_t{4} << 20, 256, 0.01} : OperationSizes{};
  const Peaks peaks = measure_operation_peaks(*bench.device, *bench.queue, sizes);
  bench.copy_gbps = peaks.read_gbps;
  bench.matmul_tflops = peaks.half_gflops * 1e-3;
  fmt::print(
      "{}: {:.0f} GB/s in x += add over 1 GiB (3 streams), {:.1f} TFLOP/s in a bf16 product "
      "of 8192 x 8192 x 8192{}.\n\n",
      bench.device->device().name, bench.copy_gbps, bench.matmul_tflops,
      bench.graphs ? "; recorded graphs" : "");
  fmt::print("| case | us | GB/s | TFLOP/s | of copy | of product |\n|---|---|---|---|---|---|\n");
  run_group(bench, "linear", bench_linear_cases);
  run_group(bench, "attention", bench_attention_cases);
  run_group(bench, "norm, rope, silu", bench_row_cases);
  run_group(bench, "sample", bench_sample_cases);
  fmt::print("\n{} cases timed, {} wrong, {:.0f} s\n", bench.cases, bench.failures,
             seconds(Clock::kReal) - began);
  return bench.failures == 0 && bench.cases > 0 ? 0 : 1;
} catch (const Error& error) {
  fmt::print(stderr, "kernel_bench: {}\n", error.what());
  return 1;
}

}  // namespace llmpq
