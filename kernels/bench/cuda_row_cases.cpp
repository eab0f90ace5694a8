// What works row by row in kernel_bench on a GPU: norm, rotary positions, activation.
#include <fmt/core.h>

#include <cmath>

#include "kernels/bench/cuda_bench.hpp"
#include "kernels/rope_tables.hpp"

namespace llmpq {
namespace {

constexpr int64_t kCheckedRows = 2;             ///< by the CPU, first
constexpr int64_t kHeads = 40, kHeadDim = 128;  ///< 32 of queries, 8 of keys

void bench_norm(CudaBench& bench, int64_t rows, int64_t hidden) {
  const std::string name = fmt::format("norm, {} rows of {}", rows, hidden);
  if (!bench.wants(name)) return;
  const std::vector<float> x = bench_numbers(rows * hidden), weight = bench_numbers(hidden, 2);
  Buffer device_x = upload(bench, x), device_weight = upload(bench, weight);
  Buffer y = bench.device->allocate(rows * hidden * 4);
  const auto call = [&](int64_t) {
    bench.ops().norm(*bench.queue,
                     {NormArgs::Kind::kRms, device_x.as<float>(), nullptr,
                      device_weight.as<float>(), nullptr, 1e-5f, rows, hidden, y.as<float>()});
  };
  call(0);
  std::vector<float> first(x.begin(), x.begin() + hidden), wanted(first.size());
  bench.host->ops().norm(*bench.threads, {NormArgs::Kind::kRms, first.data(), nullptr,
                                          weight.data(), nullptr, 1e-5f, 1, hidden, wanted.data()});
  const std::string wrong = difference(download(bench, y.as<float>(), hidden), wanted, 1e-5);
  if (!wrong.empty()) return print_wrong(bench, name, wrong);
  print_row(bench, {name, {number(2 * rows * hidden * 4), number(4 * rows * hidden)}},
            seconds_per_call(bench, 1, call));
}

void bench_rope(CudaBench& bench, int64_t rows) {
  const int64_t width = kHeads * kHeadDim, half = kHeadDim / 2;
  const std::string name = fmt::format("rope, {} rows of {} heads of {}", rows, kHeads, kHeadDim);
  if (!bench.wants(name)) return;
  std::vector<float> x = bench_numbers(rows * width), inverse(half);
  std::vector<float> cosine(static_cast<size_t>(rows * half)), sine(cosine.size());
  for (int64_t i = 0; i < half; ++i)
    inverse[static_cast<size_t>(i)] = std::pow(500000.0f, -static_cast<float>(i) / 64.0f);
  rope_tables(cosine.data(), sine.data(), rows, half, inverse.data(), 1.0f);
  std::vector<int32_t> position;
  for (int64_t i = 0; i < rows; ++i) position.push_back(static_cast<int32_t>(rows - 1 - i));
  Buffer device_x = upload(bench, x), device_position = upload(bench, position);
  Buffer device_cosine = upload(bench, cosine), device_sine = upload(bench, sine);
  const auto call = [&](int64_t) {
    bench.ops().rope(*bench.queue, {device_x.as<float>(), width, device_position.as<int32_t>(),
                                    device_cosine.as<float>(), device_sine.as<float>(), rows,
                                    kHeads, kHeadDim, kHeadDim});
  };
  call(0);
  bench.host->ops().rope(*bench.threads, {x.data(), width, position.data(), cosine.data(),
                                          sine.data(), kCheckedRows, kHeads, kHeadDim, kHeadDim});
  x.resize(static_cast<size_t>(kCheckedRows * width));
  const std::string wrong =
      difference(download(bench, device_x.as<float>(), kCheckedRows * width), x, 1e-6);
  if (!wrong.empty()) return print_wrong(bench, name, wrong);
  print_row(bench, {name, {number(2 * rows * width * 4), number(3 * rows * width)}},
            seconds_per_call(bench, 1, call));
}

void bench_silu(CudaBench& bench, int64_t rows, int64_t width) {
  const std::string name = fmt::format("silu and product, {} rows of {}", rows, width);
  if (!bench.wants(name)) return;
  const std::vector<float> x = bench_numbers(2 * rows * width);
  const Buffer device_x = upload(bench, x);
  Buffer y = bench.device->allocate(rows * width * 4);
  const auto call = [&](int64_t) {
    bench.ops().activation(*bench.queue, {ActivationArgs::Kind::kSilu, true, device_x.as<float>(),
                                          rows, width, y.as<float>()});
  };
  call(0);
  std::vector<float> wanted(static_cast<size_t>(width));
  bench.host->ops().activation(
      *bench.threads, {ActivationArgs::Kind::kSilu, true, x.data(), 1, width, wanted.data()});
  const std::string wrong = difference(download(bench, y.as<float>(), width), wanted, 1e-5);
  if (!wrong.empty()) return print_wrong(bench, name, wrong);
  print_row(bench, {name, {number(3 * rows * width * 4), number(20 * rows * width)}},
            seconds_per_call(bench, 1, call));
}

}  // namespace

void bench_row_cases(CudaBench& bench) {
  const int64_t rows = bench.dry ? 16 : 2048;
  bench_norm(bench, rows, 4096);
  bench_rope(bench, rows);
  bench_silu(bench, rows, 14336);
}

}  // namespace llmpq
