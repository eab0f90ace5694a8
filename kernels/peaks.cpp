#include "kernels/peaks.hpp"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <functional>
#include <vector>

#include "kernels/cpu/context.hpp"
#include "kernels/cpu/peak_loops.hpp"

namespace llmpq {
namespace {

constexpr int kPasses = 24;  ///< short ones: on a busy machine some of them are undisturbed
constexpr int kReadParts = 8;

// Where results go, so that loops are not left out.
std::atomic<uint64_t> read_sink;
std::atomic<float> float_sink;
std::atomic<int64_t> integer_sink;

/// Seconds of work(thread) on every thread at once.
template <typename Work>
double seconds_on_all(ThreadPool& pool, Clock clock, Work work) {
  const double begin_s = seconds(clock);
  pool.parallel_for(pool.threads(), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) work(i);
  });
  return seconds(clock) - begin_s;
}

/// Each pass reads another part of the memory: by the time a part comes again, the others have
/// pushed it out of the caches.
double best_read_gbps(ThreadPool& pool, Clock clock, const PeakLoops& loops, int64_t bytes) {
  Buffer memory = allocate_host(bytes);
  std::fill_n(memory.as<char>(), bytes, 1);
  const int64_t share = bytes / kReadParts / pool.threads() / 256 * 256;
  const int64_t part = share * pool.threads();
  double best_s = 1e9;
  for (int pass = 0; pass < kPasses; ++pass) {
    const std::byte* from = memory.data() + pass % kReadParts * part;
    best_s = std::min(best_s, seconds_on_all(pool, clock, [&](int64_t i) {
                        read_sink = loops.read(from + i * share, share);
                      }));
  }
  return static_cast<double>(part) * 1e-9 / best_s;
}

/// Operations per second, in 1e9: `run(rounds)` does `operations` in each round.
double best_gops(ThreadPool& pool, Clock clock, double pass_s, int64_t operations,
                 const std::function<void(int64_t)>& run) {
  const auto pass = [&](int64_t rounds) {
    return seconds_on_all(pool, clock, [&](int64_t) { run(rounds); });
  };
  int64_t rounds = 1 << 10;
  while (pass(rounds) < pass_s) rounds *= 2;
  double best_s = 1e9;
  for (int i = 0; i < kPasses; ++i) best_s = std::min(best_s, pass(rounds));
  return static_cast<double>(rounds * operations) * pool.threads() * 1e-9 / best_s;
}

/// Of one call, repeated without a pause for `queued_s`; the best of a few such rows of calls.
double seconds_per_call(Context& context, double queued_s, const std::function<void()>& call) {
  const auto row = [&](int64_t calls) {
    const double begin_s = seconds(Clock::kReal);
    for (int64_t i = 0; i < calls; ++i) call();
    context.synchronize();
    return (seconds(Clock::kReal) - begin_s) / static_cast<double>(calls);
  };
  row(1);
  const double once_s = std::max(row(1), 1e-7);
  const auto calls = std::max<int64_t>(2, static_cast<int64_t>(queued_s / once_s));
  return std::min({row(calls), row(calls), row(calls)});
}

/// Numbers in [-1, 1), the same each time: zeros would cost a GPU less power and run faster.
std::vector<float> random_numbers(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
  }
  return values;
}

double copy_gbps(Backend& backend, Context& context, const OperationSizes& sizes) {
  const int64_t bytes = sizes.copy_bytes;
  Buffer x = backend.allocate(bytes), add = backend.allocate(bytes);
  const AddArgs args{x.as<float>(), add.as<float>(), bytes / 4};
  const double call_s =
      seconds_per_call(context, sizes.queued_s, [&] { backend.ops().add(context, args); });
  return 3e-9 * static_cast<double>(bytes) / call_s;
}

double product_gflops(Backend& backend, Context& context, const OperationSizes& sizes) {
  const int64_t size = sizes.product;
  const bool has_bf16 = multiplies(backend.device().compute_capability, Format::kBf16);
  const std::vector<float> values = random_numbers(size * size);
  Matrix w;
  w.format = has_bf16 ? Format::kBf16 : Format::kF16;
  w.n = w.k = size;
  w.packed = backend.allocate(backend.packed_bytes(w.format, size, size));
  backend.pack_rows(context, w, 0, size, values.data());
  Buffer x = backend.allocate(size * size * 4), y = backend.allocate(size * size * 4);
  backend.copy_to_device(context, x.data(), values.data(), x.bytes());
  context.synchronize();
  const LinearArgs args{
      x.as<float>(), &w,  nullptr, has_bf16 ? ActivationType::kBf16 : ActivationType::kF16, size,
      y.as<float>(), size};
  const double call_s =
      seconds_per_call(context, sizes.queued_s, [&] { backend.ops().linear(context, args); });
  const auto n = static_cast<double>(size);
  return 2e-9 * n * n * n / call_s;
}

}  // namespace

double seconds(Clock clock) {
  timespec now{};
  clock_gettime(clock == Clock::kCpu ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

Peaks higher(const Peaks& a, const Peaks& b) {
  return {.read_gbps = std::max(a.read_gbps, b.read_gbps),
          .f32_gflops = std::max(a.f32_gflops, b.f32_gflops),
          .int8_gops = std::max(a.int8_gops, b.int8_gops),
          .half_gflops = std::max(a.half_gflops, b.half_gflops)};
}

Peaks measure_cpu_peaks(ThreadPool& pool, Isa isa, Clock clock, const CpuPeakSizes& sizes) {
  const PeakLoops& loops = peak_loops(isa);
  Peaks peaks;
  peaks.read_gbps = best_read_gbps(pool, clock, loops, sizes.read_bytes);
  peaks.f32_gflops = best_gops(pool, clock, sizes.pass_s, 2 * loops.fma_of_round,
                               [&](int64_t rounds) { float_sink = loops.fma(rounds); });
  peaks.int8_gops = best_gops(pool, clock, sizes.pass_s, 2 * loops.products_of_round,
                              [&](int64_t rounds) { integer_sink = loops.dot_int8(rounds); });
  if (loops.dot_bf16 != nullptr)
    peaks.half_gflops = best_gops(pool, clock, sizes.pass_s, 2 * loops.bf16_products_of_round,
                                  [&](int64_t rounds) { float_sink = loops.dot_bf16(rounds); });
  return peaks;
}

Peaks measure_operation_peaks(Backend& backend, Context& context, const OperationSizes& sizes) {
  Peaks peaks;
  peaks.read_gbps = copy_gbps(backend, context, sizes);
  peaks.half_gflops = product_gflops(backend, context, sizes);
  return peaks;
}

Peaks measure_peaks(Backend& backend, Isa isa) {
  const auto context = backend.make_context();
  if (backend.kind() == BackendKind::kCpu)
    return measure_cpu_peaks(cpu(*context).pool(), isa, Clock::kReal);
  // Two ranks may share a GPU, each with its part of the memory: small enough for both.
  OperationSizes sizes;
  const int64_t most = backend.device().free_bytes / 8;
  sizes.copy_bytes = std::min(sizes.copy_bytes, most / 4096 * 4096);
  while (sizes.product > 1024 && 12 * sizes.product * sizes.product > most) sizes.product /= 2;
  return measure_operation_peaks(backend, *context, sizes);
}

}  // namespace llmpq
