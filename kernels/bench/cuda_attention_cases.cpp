// Attention of kernel_bench on a GPU: the heads of Llama 3.1 8B, decode and prefill. Bytes are
// those that must move: the cache, queries, results.
#include <fmt/core.h>

#include <algorithm>

#include "kernels/bench/cuda_bench.hpp"

namespace llmpq {
namespace {

constexpr int64_t kCheckedRows = 2;  ///< by the CPU, first
constexpr int64_t kHeads = 32, kKvHeads = 8, kHeadDim = 128, kBlock = 16;
constexpr float kScale = 0.08838835f;  // 1 / sqrt(128)

struct AttentionCase {
  DType type;
  int64_t sequences, context;
  int64_t rows;  ///< new ones of each sequence
};

/// A cache of `sequences` sequences of `context` tokens on one backend, and its ranges.
struct CacheData {
  Buffer k, v, k_scale, v_scale, table, all, last;
  KvCache cache;
  RangeList steps;  ///< the last rows of each sequence
};

CacheData make_cache(Backend& backend, Context& context, const AttentionCase& c) {
  CacheData data;
  const int64_t each = (c.context + kBlock - 1) / kBlock, blocks = each * c.sequences;
  const int64_t elements = blocks * kKvHeads * kBlock * kHeadDim;
  for (Buffer* part : {&data.k, &data.v}) *part = backend.allocate(elements * size_of(c.type));
  for (Buffer* part : {&data.k_scale, &data.v_scale})
    *part = backend.allocate(elements / kHeadDim * 4);
  data.cache = {c.type,
                blocks,
                kBlock,
                kKvHeads,
                kHeadDim,
                data.k.data(),
                data.v.data(),
                data.k_scale.as<float>(),
                data.v_scale.as<float>()};
  std::vector<int32_t> table;
  for (int64_t i = 0; i < blocks; ++i) table.push_back(static_cast<int32_t>(i));
  std::vector<RowRange> all, last;
  for (int64_t s = 0; s < c.sequences; ++s) {
    const auto start = static_cast<int32_t>(s * each);
    // Every sequence is written from the same rows: only its place differs.
    all.push_back({0, static_cast<int32_t>(c.context), 0, start});
    last.push_back({static_cast<int32_t>(s * c.rows), static_cast<int32_t>(c.rows),
                    static_cast<int32_t>(c.context - c.rows), start});
  }
  data.table = upload(backend, context, table);
  data.all = upload(backend, context, all);
  data.last = upload(backend, context, last);
  data.steps = {data.last.as<RowRange>(),
                data.table.as<int32_t>(),
                c.sequences,
                c.sequences * c.rows,
                c.rows,
                c.context,
                c.rows == 1 ? c.sequences : 0};
  const int64_t width = kKvHeads * kHeadDim;
  const Buffer k = upload(backend, context, bench_numbers(c.context * width, 2));
  const Buffer v = upload(backend, context, bench_numbers(c.context * width, 3));
  for (int64_t s = 0; s < c.sequences; ++s)
    backend.ops().kv_write(context, {k.as<float>(),
                                     v.as<float>(),
                                     width,
                                     {data.all.as<RowRange>() + s, data.table.as<int32_t>(), 1,
                                      c.context, c.context, c.context, c.context == 1 ? 1 : 0},
                                     &data.cache});
  context.synchronize();
  return data;
}

/// The last rows of one sequence, by the CPU.
std::vector<float> wanted_attention(CudaBench& bench, const AttentionCase& c,
                                    const std::vector<float>& q) {
  AttentionCase one = c;
  one.sequences = 1;
  one.rows = std::min(c.rows, kCheckedRows);
  const CacheData data = make_cache(*bench.host, *bench.threads, one);
  const int64_t width = kHeads * kHeadDim;
  std::vector<float> y(static_cast<size_t>(one.rows * width));
  bench.host->ops().attention(
      *bench.threads, {q.data() + (c.rows - one.rows) * width, width, data.steps, &data.cache,
                       kHeads, kScale, 0, nullptr, y.data()});
  return y;
}

void bench_attention(CudaBench& bench, AttentionCase c) {
  const std::string name = c.rows == 1 ? fmt::format("attention {} decode, {} x {} tokens",
                                                     llmpq::name(c.type), c.sequences, c.context)
                                       : fmt::format("attention {} prefill, {} x {} rows",
                                                     llmpq::name(c.type), c.sequences, c.rows);
  if (!bench.wants(name)) return;
  const CacheData data = make_cache(*bench.device, *bench.queue, c);
  const int64_t width = kHeads * kHeadDim, rows = c.sequences * c.rows;
  const std::vector<float> q = bench_numbers(rows * width);
  const Buffer device_q = upload(bench, q);
  Buffer y = bench.device->allocate(rows * width * 4);
  const auto call = [&](int64_t) {
    bench.ops().attention(*bench.queue, {device_q.as<float>(), width, data.steps, &data.cache,
                                         kHeads, kScale, 0, nullptr, y.as<float>()});
  };
  call(0);
  const std::vector<float> wanted = wanted_attention(bench, c, q);
  const int64_t checked = std::ssize(wanted);
  const std::string wrong =
      difference(download(bench, y.as<float>() + c.rows * width - checked, checked), wanted, 0.03);
  if (!wrong.empty()) return print_wrong(bench, name, wrong);
  const double seen = number(c.context) - number(c.rows - 1) / 2;  // keys of a row, on average
  const int64_t scales = c.type == DType::kInt8 ? data.k_scale.bytes() * 2 : 0;
  print_row(bench,
            {name,
             {number(data.k.bytes() + data.v.bytes() + scales + 2 * rows * width * 4),
              4.0 * number(rows) * seen * number(width)}},
            seconds_per_call(bench, 1, call));
}

}  // namespace

void bench_attention_cases(CudaBench& bench) {
  for (const DType type : {DType::kBf16, DType::kInt8}) {
    if (bench.dry) {
      bench_attention(bench, {type, 3, 100, 1});
      bench_attention(bench, {type, 2, 40, 40});
      continue;
    }
    bench_attention(bench, {type, 32, 1024, 1});
    bench_attention(bench, {type, 32, 8192, 1});
    bench_attention(bench, {type, 1, 2048, 2048});
    bench_attention(bench, {type, 4, 512, 512});
  }
}

}  // namespace llmpq
