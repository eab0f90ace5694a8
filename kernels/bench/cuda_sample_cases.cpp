// Sampling of kernel_bench on a GPU. The operation overwrites its logits: each call gets fresh ones
// by gather_rows, whose own time is taken off.
#include <fmt/core.h>

#include <cmath>

#include "kernels/bench/cuda_bench.hpp"

namespace llmpq {
namespace {

struct SampleData {
  std::vector<float> logits;
  std::vector<SampleRow> rows;
  std::vector<int32_t> tokens;  ///< as the CPU chooses them
};

SampleData sample_data(CudaBench& bench, int64_t rows, int64_t vocab, const SampleRow& row) {
  SampleData data;
  data.logits = bench_numbers(rows * vocab, 7);
  for (float& x : data.logits) x = 12 * x * x * x;  // a few likely tokens, many unlikely ones
  data.rows.assign(static_cast<size_t>(rows), row);
  uint64_t bits = 1;
  for (SampleRow& each : data.rows) {
    bits = bits * 6364136223846793005u + 1442695040888963407u;
    each.bits = bits;
  }
  std::vector<float> copy = data.logits, logprobs(data.rows.size());
  data.tokens.resize(data.rows.size());
  bench.host->ops().sample(*bench.threads,
                           {copy.data(), rows, vocab, data.rows.data(), nullptr, nullptr, 0,
                            data.tokens.data(), logprobs.data(), nullptr, nullptr});
  return data;
}

void bench_sample(CudaBench& bench, const char* what, int64_t rows, int64_t vocab,
                  const SampleRow& row) {
  const std::string name = fmt::format("sample {}, {} rows of {}", what, rows, vocab);
  if (!bench.wants(name)) return;
  const SampleData data = sample_data(bench, rows, vocab, row);
  const Buffer fresh = upload(bench, data.logits), device_rows = upload(bench, data.rows);
  std::vector<int32_t> index;
  for (int64_t i = 0; i < rows; ++i) index.push_back(static_cast<int32_t>(i));
  const Buffer device_index = upload(bench, index);
  Buffer logits = bench.device->allocate(fresh.bytes());
  Buffer tokens = bench.device->allocate(rows * 4), logprobs = bench.device->allocate(rows * 4);
  const auto renew = [&](int64_t) {
    bench.ops().gather_rows(*bench.queue, {fresh.as<float>(), device_index.as<int32_t>(), rows,
                                           vocab, logits.as<float>()});
  };
  const auto call = [&](int64_t i) {
    renew(i);
    bench.ops().sample(*bench.queue,
                       {logits.as<float>(), rows, vocab, device_rows.as<SampleRow>(), nullptr,
                        nullptr, 0, tokens.as<int32_t>(), logprobs.as<float>(), nullptr, nullptr});
  };
  call(0);
  const std::vector<int32_t> chosen = download(bench, tokens.as<int32_t>(), rows);
  for (size_t i = 0; i < chosen.size(); ++i)
    if (chosen[i] != data.tokens[i])
      return print_wrong(
          bench, name, fmt::format("row {}: got token {}, want {}", i, chosen[i], data.tokens[i]));
  const double seconds = seconds_per_call(bench, 1, call) - seconds_per_call(bench, 1, renew);
  print_row(bench, {name, {number(rows * vocab * 4), 0}}, seconds);
}

}  // namespace

void bench_sample_cases(CudaBench& bench) {
  const int64_t rows = bench.dry ? 4 : 64, vocab = bench.dry ? 4096 : 128256;
  SampleRow row{};
  row.top_p = 1;
  row.repetition = 1;
  bench_sample(bench, "greedy", rows, vocab, row);
  row.temperature = 0.8f;
  bench_sample(bench, "at temperature 0.8", rows, vocab, row);
  row.top_p = 0.9f;
  bench_sample(bench, "with top-p 0.9", rows, vocab, row);
}

}  // namespace llmpq
