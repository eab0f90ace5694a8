// Operations behind each other on one stream, as single calls and recorded: from compute capability
// 9.0 on a kernel is launched while the one before it still runs, and has to wait for what that
// leaves it (kernels/cuda/launch.cuh).
#include <functional>

#include "kernels/cuda/attention_setup.hpp"

namespace llmpq::test {
namespace {

/// An operation that reads `input` and writes `output`, which may be the same.
struct Link {
  const char* name;
  OnDevice<float>& input;
  OnDevice<float>& output;
  std::function<void()> queue;
  bool recorded = true;  ///< not what waits for the stream itself
};

class GpuChainTest : public GpuTest {
 protected:
  static OnDevice<float> put(const std::vector<float>& values) {
    return OnDevice<float>(gpu(), stream(), values);
  }
  static OnDevice<float> random(int64_t count, uint64_t seed = 1) {
    return put(Random(seed).vector(count));
  }
  static OnDevice<float> zeros(int64_t count) {
    return put(std::vector<float>(static_cast<size_t>(count)));
  }
  static OnDevice<int32_t> put(const std::vector<int32_t>& values) {
    return OnDevice<int32_t>(gpu(), stream(), values);
  }
  static void write(OnDevice<float>& to, const std::vector<float>& values) {
    gpu().copy_to_device(stream(), to.data(), values.data(), std::ssize(values) * int64_t{4});
  }

  /// Zeros stand in the input until the kernel right before the operation puts numbers there.
  static void expect_waits(const Link& link) {
    static uint64_t recording = 31000;
    const std::vector<float> right = link.input.values(), before = link.output.values();
    const std::vector<float> zeros(right.size());
    auto source = put(right);
    auto first = put(std::vector<int32_t>{0});
    link.queue();
    const std::vector<float> wanted = link.output.values();
    const auto chain = [&] {
      gpu().ops().gather_rows(stream(), {.x = source.data(),
                                         .index = first.data(),
                                         .rows = 1,
                                         .width = std::ssize(right),
                                         .y = link.input.data()});
      link.queue();
    };
    ++recording;
    for (int i = 0; i < 4; ++i) {  // the third one is recorded
      write(link.output, before);
      write(link.input, zeros);
      if (i == 0 || !link.recorded)
        chain();
      else
        stream().run_recorded(recording, chain);
      expect_same_bits(link.output.values(), wanted, link.name);
    }
    write(link.output, before);
    write(link.input, zeros);
    link.queue();
    EXPECT_NE(link.output.values(), wanted) << link.name << " does not read its input";
    write(link.output, before);
    write(link.input, right);
  }
};

TEST_F(GpuChainTest, OperationsOnRowsWait) {
  constexpr int64_t kRows = 5, kWidth = 192;
  const Ops& ops = gpu().ops();
  auto x = random(kRows * kWidth), add = random(kRows * kWidth, 2), y = zeros(kRows * kWidth);
  auto weight = random(kWidth, 3);
  auto numbers = put(std::vector<int32_t>{4, 2, 0, 1, 3});
  const auto norm = [&](const float* added) {
    ops.norm(stream(), {NormArgs::Kind::kRms, x.data(), added, weight.data(), nullptr, 1e-6f, kRows,
                        kWidth, y.data()});
  };
  expect_waits({"norm", x, y, [&] { norm(nullptr); }});
  expect_waits({"norm of a sum", add, x, [&] { norm(add.data()); }});
  expect_waits({"head_norm", x, x, [&] {
                  ops.head_norm(stream(), {x.data(), kWidth, weight.data(), 1e-6f, kRows, 3, 64});
                }});
  expect_waits({"add", add, x, [&] { ops.add(stream(), {x.data(), add.data(), kRows * kWidth}); }});
  auto cosine = random(kRows * 32, 4), sine = random(kRows * 32, 5);
  expect_waits({"rope", x, x, [&] {
                  ops.rope(stream(), {x.data(), kWidth, numbers.data(), cosine.data(), sine.data(),
                                      kRows, 3, 64, 64});
                }});
  expect_waits({"activation", x, y, [&] {
                  ops.activation(stream(), {ActivationArgs::Kind::kSilu, true, x.data(), kRows,
                                            kWidth / 2, y.data()});
                }});
  expect_waits({"gather_rows", x, y, [&] {
                  ops.gather_rows(stream(), {x.data(), numbers.data(), kRows, kWidth, y.data()});
                }});
  expect_waits({"add_rows", add, x, [&] {
                  ops.add_rows(stream(), {x.data(), add.data(), numbers.data(), weight.data(),
                                          kRows, kWidth});
                }});
  expect_waits({"embed", add, y, [&] {
                  ops.embed(stream(), {numbers.data(), nullptr, add.data(), nullptr, DType::kF32, 0,
                                       kRows, kWidth, y.data()});
                }});
}

TEST_F(GpuChainTest, RoutingWaits) {
  constexpr int64_t kRows = 7, kExperts = 6, kChosen = 2, kEntries = kRows * kChosen;
  auto logits = random(kRows * kExperts, 12), weight = zeros(kEntries), of_row = zeros(kEntries);
  auto expert = put(std::vector<int32_t>(kEntries)), row = put(std::vector<int32_t>(kEntries));
  auto begin = put(std::vector<int32_t>(kExperts + 1));
  std::vector<int32_t> on_host(kExperts + 1);
  expect_waits({"route", logits, weight,
                [&] {
                  gpu().ops().route(stream(), {.logits = logits.data(),
                                               .rows = kRows,
                                               .experts = kExperts,
                                               .chosen = kChosen,
                                               .normalized = true,
                                               .expert = expert.data(),
                                               .row_weight = of_row.data(),
                                               .row = row.data(),
                                               .weight = weight.data(),
                                               .begin = begin.data(),
                                               .host_begin = on_host.data()});
                },
                false});
}

TEST_F(GpuChainTest, SamplingAndScoresWait) {
  constexpr int64_t kRows = 3, kVocab = 1000;
  auto logits = random(kRows * kVocab, 6), result = zeros(kRows);
  OnDevice<SampleRow> rows(gpu(), stream(),
                           std::vector<SampleRow>(kRows, {.temperature = 0.7f,
                                                          .top_p = 0.9f,
                                                          .min_p = 0,
                                                          .top_k = 0,
                                                          .repetition = 1,
                                                          .frequency = 0,
                                                          .presence = 0,
                                                          .logprobs = 1,
                                                          .bits = uint64_t{3} << 62,
                                                          .counted_begin = 0,
                                                          .counted_end = 0,
                                                          .masked_begin = 0,
                                                          .masked_end = 0}));
  auto tokens = put(std::vector<int32_t>{7, 900, 30});
  expect_waits({"sample", logits, result, [&] {
                  gpu().ops().sample(stream(), {.logits = logits.data(),
                                                .rows = kRows,
                                                .vocab = kVocab,
                                                .sample = rows.data(),
                                                .counted = nullptr,
                                                .masked = nullptr,
                                                .top = 0,
                                                .tokens = tokens.data(),
                                                .logprobs = result.data(),
                                                .top_ids = nullptr,
                                                .top_logprobs = nullptr});
                }});
  expect_waits(
      {"score", logits, result, [&] {
         gpu().ops().score(stream(), {logits.data(), tokens.data(), kRows, kVocab, result.data()});
       }});
}

/// Decode in one piece and in several, prefill, both in one step; by tensor cores and the plain
/// way.
TEST_F(GpuChainTest, AttentionWaits) {
  for (const DType type : {DType::kBf16, DType::kInt8, DType::kF32}) {
    const Inputs in({type, 4, 2, 64, 16});
    HostCache host(in.s);
    fill(cpu(), in, host);
    GpuCache cache(gpu(), stream(), host);
    for (const std::vector<Cut>& cuts :
         {std::vector<Cut>{{0, 99, 1}}, {{0, 300, 1}, {1, 40, 1}}, {{0, 10, 7}, {1, 600, 1}}}) {
      const Step step(in, host, cuts);
      OnDevice<RowRange> at(gpu(), stream(), step.ranges);
      const RangeList ranges = step.list(at.data(), cache.table.data(), in.stride);
      auto rows = put(step.rows), y = zeros(ranges.rows * in.s.heads * in.s.head_dim);
      expect_waits({"attention", rows, y, [&] {
                      gpu().ops().attention(stream(), {rows.data(), in.stride, ranges, &cache.view,
                                                       in.s.heads, in.scale, 0, nullptr, y.data()});
                    }});
    }
  }
}

TEST_F(GpuChainTest, KvWritesWait) {
  const Inputs in({DType::kF32, 4, 2, 64, 16});
  const HostCache host(in.s);
  GpuCache cache(gpu(), stream(), host);
  const Step step(in, host, {{0, 0, 3}, {1, 20, 1}});
  OnDevice<RowRange> at(gpu(), stream(), step.ranges);
  const RangeList ranges = step.list(at.data(), cache.table.data(), in.stride);
  auto rows = put(step.rows), k = zeros(std::ssize(host.k) / 4);
  cache.view.k = k.data();
  const float* const keys = rows.data() + in.s.heads * in.s.head_dim;
  expect_waits({"kv_write", rows, k, [&] {
                  gpu().ops().kv_write(stream(), {keys, keys + in.s.kv_heads * in.s.head_dim,
                                                  in.stride, ranges, &cache.view});
                }});
}

/// Few rows, and so many that other kernels take them; every type of inputs.
TEST_F(GpuChainTest, ProductsWait) {
  constexpr int64_t kOutputs = 80, kInputs = 300;
  const std::vector<float> weights = Random(8).vector(kOutputs * kInputs);
  for (const Format format : {Format::kBf16, Format::kW4})
    for (const ActivationType activation :
         {ActivationType::kF32, ActivationType::kInt8, gpu().default_activation(Format::kBf16)})
      for (const int64_t tokens : {3, 70}) {
        Matrix w;
        w.format = format;
        w.n = kOutputs;
        w.k = kInputs;
        w.packed = gpu().allocate(gpu().packed_bytes(format, w.n, w.k));
        gpu().pack_rows(stream(), w, 0, w.n, weights.data());
        auto x = random(tokens * kInputs, 9), bias = random(kOutputs, 10),
             y = zeros(tokens * kOutputs);
        expect_waits({"linear", x, y, [&] {
                        gpu().ops().linear(stream(), {x.data(), &w, bias.data(), activation, tokens,
                                                      y.data(), kOutputs});
                      }});
      }
}

}  // namespace
}  // namespace llmpq::test
