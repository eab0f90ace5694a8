// kernel_bench [google benchmark flags]: the CPU kernels over formats and shapes. Each case is held
// against the plain kernels first and does not run if a bit differs. Columns: us, GB/s of weights
// (or cache) read, GFLOP/s, and both as a share of what this machine reached in the same run: of
// reading, and of the f32 FMA or, where inputs are int8, the int8 limit (bf16: of tiles, if used).
// LLMPQ_BENCH_CLOCK=cpu: one thread, by its CPU time, for machines that others use too.
// LLMPQ_BENCH_DEVICE=cuda: the GPU's kernels instead (cuda_bench.hpp).
// LLMPQ_BENCH_THREADS and LLMPQ_BENCH_ISA choose threads (0: all) and instruction set (auto).
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.hpp"
#include "kernels/bench/cuda_bench.hpp"
#include "kernels/convert.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/peaks.hpp"

namespace llmpq {
namespace {

Peaks limits;

std::string setting(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

Clock clock_used() {
  return setting("LLMPQ_BENCH_CLOCK", "real") == "cpu" ? Clock::kCpu : Clock::kReal;
}

int threads_used() {
  if (clock_used() == Clock::kCpu) return 1;
  const int threads = std::atoi(setting("LLMPQ_BENCH_THREADS", "0").c_str());
  return threads == 0 ? usable_cpus() : threads;
}

/// A backend with a context, and numbers to work on.
struct Machine {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Context> context;
  explicit Machine(const std::string& isa)
      : backend(make_cpu_backend(threads_used(), isa)), context(backend->make_context()) {}
};

Machine& fast() {
  static Machine machine(setting("LLMPQ_BENCH_ISA", "auto"));
  return machine;
}
Machine& plain() {
  static Machine machine("plain");
  return machine;
}

std::vector<float> numbers(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
  }
  return values;
}

/// Bytes and operations of one call, as rates and as shares of the machine's limits; `peak` in 1e9
/// operations per second.
void report(benchmark::State& state, double bytes, double flops, double peak) {
  using benchmark::Counter;
  state.counters["GB/s"] = Counter(bytes * 1e-9, Counter::kIsIterationInvariantRate);
  state.counters["GFLOP/s"] = Counter(flops * 1e-9, Counter::kIsIterationInvariantRate);
  state.counters["of_read"] =
      Counter(bytes * 1e-9 / limits.read_gbps, Counter::kIsIterationInvariantRate);
  state.counters["of_peak"] = Counter(flops * 1e-9 / peak, Counter::kIsIterationInvariantRate);
}

/// Enough copies of the weights that a call finds none of them in the caches.
constexpr int64_t kColdBytes = int64_t{192} << 20;

struct LinearCase {
  Format format;
  ActivationType activation;
  int64_t tokens, n, k;
};

std::vector<Matrix> cold_matrices(const LinearCase& c) {
  Machine& on = fast();
  const int64_t bytes = on.backend->packed_bytes(c.format, c.n, c.k);
  const std::vector<float> values = numbers(c.n * c.k);
  std::vector<Matrix> matrices;
  for (int64_t total = 0; total < kColdBytes; total += bytes) {
    Matrix w;
    w.format = c.format;
    w.n = c.n;
    w.k = c.k;
    w.packed = on.backend->allocate(bytes);
    if (matrices.empty()) {
      on.backend->pack_rows(*on.context, w, 0, c.n, values.data());
    } else {
      std::memcpy(w.packed.data(), matrices[0].packed.data(), static_cast<size_t>(bytes));
    }
    matrices.push_back(std::move(w));
  }
  return matrices;
}

void run_linear(Machine& on, const LinearCase& c, const Matrix& w, const std::vector<float>& x,
                std::vector<float>& y, int64_t tokens) {
  on.backend->ops().linear(*on.context,
                           {x.data(), &w, nullptr, c.activation, tokens, y.data(), c.n});
}

double peak_of(ActivationType activation) {
  if (activation == ActivationType::kInt8) return limits.int8_gops;
  const bool halves = activation == ActivationType::kBf16 && limits.half_gflops > 0;
  return halves ? limits.half_gflops : limits.f32_gflops;
}

void bench_linear(benchmark::State& state, LinearCase c) {
  const std::vector<Matrix> matrices = cold_matrices(c);
  const std::vector<float> x = numbers(c.tokens * c.k);
  std::vector<float> y(static_cast<size_t>(c.tokens * c.n)), wanted(y.size());
  const int64_t checked = std::min<int64_t>(c.tokens, 2);
  run_linear(fast(), c, matrices[0], x, y, checked);
  run_linear(plain(), c, matrices[0], x, wanted, checked);
  if (std::memcmp(y.data(), wanted.data(), static_cast<size_t>(checked * c.n) * 4) != 0)
    return state.SkipWithError("differs from the plain kernels");
  size_t next = 0;
  for (auto _ : state) run_linear(fast(), c, matrices[next++ % matrices.size()], x, y, c.tokens);
  report(state, static_cast<double>(matrices[0].packed.bytes()),
         2.0 * static_cast<double>(c.tokens * c.n * c.k), peak_of(c.activation));
}

struct AttentionCase {
  DType type;
  int64_t rows, context;  ///< new rows of each sequence, and its length with them
  int64_t sequences;
};

void bench_attention(benchmark::State& state, AttentionCase c) {
  constexpr int64_t kHeads = 32, kKvHeads = 4, kHeadDim = 64, kBlock = 16;
  const int64_t each = (c.context + kBlock - 1) / kBlock, blocks = each * c.sequences;
  const int64_t elements = blocks * kKvHeads * kBlock * kHeadDim;
  Machine& on = fast();
  Buffer k = on.backend->allocate(elements * size_of(c.type)), v = on.backend->allocate(k.bytes());
  Buffer k_scale = on.backend->allocate(elements / kHeadDim * 4);
  Buffer v_scale = on.backend->allocate(k_scale.bytes());
  const KvCache cache{c.type,
                      blocks,
                      kBlock,
                      kKvHeads,
                      kHeadDim,
                      k.data(),
                      v.data(),
                      k_scale.as<float>(),
                      v_scale.as<float>()};
  std::vector<int32_t> table;
  for (int64_t i = 0; i < blocks; ++i) table.push_back(static_cast<int32_t>(i));
  std::vector<RowRange> all, last;
  for (int64_t s = 0; s < c.sequences; ++s) {
    const auto start = static_cast<int32_t>(s * each);
    all.push_back({static_cast<int32_t>(s * c.context), static_cast<int32_t>(c.context), 0, start});
    last.push_back({static_cast<int32_t>(s * c.rows), static_cast<int32_t>(c.rows),
                    static_cast<int32_t>(c.context - c.rows), start});
  }
  const auto ranges = [&](const std::vector<RowRange>& list, int64_t rows) {
    return RangeList{list.data(),
                     table.data(),
                     c.sequences,
                     c.sequences * rows,
                     rows,
                     c.context,
                     rows == 1 ? c.sequences : 0};
  };
  const int64_t width = kKvHeads * kHeadDim;
  const std::vector<float> kv = numbers(c.sequences * c.context * width);
  on.backend->ops().kv_write(*on.context,
                             {kv.data(), kv.data(), width, ranges(all, c.context), &cache});
  const std::vector<float> q = numbers(c.sequences * c.rows * kHeads * kHeadDim);
  std::vector<float> y(q.size()), wanted(q.size());
  const auto run = [&](Machine& machine, std::vector<float>& to) {
    machine.backend->ops().attention(
        *machine.context, {q.data(), kHeads * kHeadDim, ranges(last, c.rows), &cache, kHeads,
                           0.125f, 0, nullptr, to.data()});
  };
  run(fast(), y);
  run(plain(), wanted);
  if (std::memcmp(y.data(), wanted.data(), y.size() * sizeof(float)) != 0)
    return state.SkipWithError("differs from the plain kernels");
  for (auto _ : state) run(fast(), y);
  const double keys = static_cast<double>(c.sequences * c.rows) *
                      (static_cast<double>(c.context) - static_cast<double>(c.rows - 1) / 2);
  report(state, static_cast<double>(k.bytes() + v.bytes()), 4.0 * keys * kHeads * kHeadDim,
         limits.f32_gflops);
}

void bench_norm(benchmark::State& state, int64_t tokens, int64_t hidden) {
  std::vector<float> x = numbers(tokens * hidden), y(x.size());
  const std::vector<float> weight = numbers(hidden);
  Machine& on = fast();
  for (auto _ : state)
    on.backend->ops().norm(*on.context, {NormArgs::Kind::kRms, x.data(), nullptr, weight.data(),
                                         nullptr, 1e-5f, tokens, hidden, y.data()});
  report(state, static_cast<double>(x.size()) * 8, static_cast<double>(x.size()) * 4,
         limits.f32_gflops);
}

void bench_silu(benchmark::State& state, int64_t tokens, int64_t width) {
  const std::vector<float> x = numbers(2 * tokens * width);
  std::vector<float> y(static_cast<size_t>(tokens * width));
  Machine& on = fast();
  for (auto _ : state)
    on.backend->ops().activation(
        *on.context, {ActivationArgs::Kind::kSilu, true, x.data(), tokens, width, y.data()});
  report(state, static_cast<double>(y.size()) * 12, static_cast<double>(y.size()) * 20,
         limits.f32_gflops);
}

/// Weights that are in memory as bf16 become packed ones, in memory that was used before: what
/// loading a model is at best once its files are read. GB/s are those of the bf16 numbers.
void bench_pack(benchmark::State& state, Format format, int64_t n, int64_t k) {
  const std::vector<float> values = numbers(n * k);
  std::vector<std::vector<uint16_t>> sources(static_cast<size_t>(kColdBytes / (2 * n * k)) + 1,
                                             std::vector<uint16_t>(static_cast<size_t>(n * k)));
  for (auto& source : sources) f32_to_bf16(values.data(), source.data(), n * k);
  std::vector<Matrix> matrices =
      cold_matrices({.format = format, .activation = {}, .tokens = 0, .n = n, .k = k});
  Machine& on = fast();
  size_t next = 0;
  for (auto _ : state) {
    const uint16_t* const from = sources[next % sources.size()].data();
    const auto in_memory = [&](int64_t begin, int64_t) {
      return RowsInMemory{DType::kBf16, reinterpret_cast<const std::byte*>(from + begin * k)};
    };
    Matrix& to = matrices[next++ % matrices.size()];
    on.backend->pack_from(*on.context, to, 0, n, 1 << 20, {{}, in_memory});
  }
  report(state, static_cast<double>(2 * n * k), 0, limits.f32_gflops);
}

template <typename Function, typename... Args>
void add(const std::string& label, Function function, Args... args) {
  auto* made = benchmark::RegisterBenchmark(label.c_str(), function, args...);
  made->Unit(benchmark::kMicrosecond);
  if (clock_used() == Clock::kReal) made->UseRealTime();
}

void add_linear_cases(const FormatInfo& format, ActivationType activation) {
  const char* type = activation == ActivationType::kF32    ? "_f32/"
                     : activation == ActivationType::kBf16 ? "_bf16/"
                                                           : "_int8/";
  for (const int64_t tokens : {1, 8, 32, 512})
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{2048, 5632}, {512, 192}})
      add(fmt::format("linear/{}{}{}x{}x{}", format.name, type, tokens, n, k), bench_linear,
          LinearCase{format.format, activation, tokens, n, k});
}

void add_cases() {
  for (const FormatInfo& format : kFormats) {
    add_linear_cases(format, ActivationType::kF32);
    if (!is_16bit(format.format)) add_linear_cases(format, ActivationType::kInt8);
    if (format.format == Format::kBf16) add_linear_cases(format, ActivationType::kBf16);
  }
  for (const FormatInfo& format : kFormats)
    add(fmt::format("pack/{}/2048x5632", format.name), bench_pack, format.format, int64_t{2048},
        int64_t{5632});
  for (const DType type : {DType::kBf16, DType::kInt8}) {
    add(fmt::format("attention/{}/decode_8x1024", name(type)), bench_attention,
        AttentionCase{type, 1, 1024, 8});
    add(fmt::format("attention/{}/prefill_512", name(type)), bench_attention,
        AttentionCase{type, 512, 512, 1});
  }
  add("norm/512x2048", bench_norm, int64_t{512}, int64_t{2048});
  add("norm/1x2048", bench_norm, int64_t{1}, int64_t{2048});
  add("silu/512x5632", bench_silu, int64_t{512}, int64_t{5632});
}

}  // namespace
}  // namespace llmpq

int main(int argc, char** argv) {
  using namespace llmpq;
  if (const std::string device = setting("LLMPQ_BENCH_DEVICE", "cpu"); device != "cpu")
    return run_cuda_bench(device);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const int threads = threads_used();
  const Clock clock = clock_used();
  const Isa isa = choose_isa(setting("LLMPQ_BENCH_ISA", "auto"));
  ThreadPool pool(threads);
  limits = measure_cpu_peaks(pool, isa, clock);
  std::printf("%d threads, %s, %s time: read %.1f GB/s, f32 FMA %.0f GFLOP/s, int8 %.0f Gop/s\n",
              threads, std::string(name(isa)).c_str(), clock == Clock::kCpu ? "CPU" : "real",
              limits.read_gbps, limits.f32_gflops, limits.int8_gops);
  add_cases();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
