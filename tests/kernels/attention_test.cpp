// KV writes and attention: every cache type against a softmax in double over what the cache holds,
// prefill against decode bit for bit, windows, alibi, odd sizes.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/convert.hpp"
#include "support.hpp"
#include "tolerance.hpp"

namespace llmpq::test {
namespace {

struct Layout {
  DType type;
  int64_t heads, kv_heads, head_dim, block_tokens;
  int64_t window = 0;
  bool alibi = false;
  float soft_cap = 0;
};

std::string label(const Layout& s) {
  return std::string(name(s.type)) + "_" + std::to_string(s.heads) + "_" +
         std::to_string(s.kv_heads) + "_" + std::to_string(s.head_dim) + "_" +
         std::to_string(s.block_tokens) + "_" + std::to_string(s.window) +
         (s.alibi ? "_alibi" : "") + (s.soft_cap > 0 ? "_cap" : "");
}

std::vector<Layout> setups() {
  std::vector<Layout> all;
  for (const DType type : {DType::kF32, DType::kBf16, DType::kF16, DType::kInt8}) {
    all.push_back({type, 6, 2, 32, 16});
    all.push_back({type, 18, 2, 16, 16});
    all.push_back({type, 3, 3, 20, 16});
    all.push_back({type, 4, 1, 80, 8});
    all.push_back({type, 2, 2, 96, 17, 9});
    all.push_back({type, 5, 5, 64, 32, 0, true});
    all.push_back({type, 8, 2, 5, 1, 3, true});
    all.push_back({type, 4, 2, 24, 16, 11, false, 1.5f});
  }
  return all;
}

/// A cache in a machine's memory with its blocks in a shuffled order, and two sequences of rows.
struct Cache {
  Layout s;
  int64_t tokens;
  KvCache view;
  std::vector<std::byte> k, v;
  std::vector<float> k_scale, v_scale;
  std::vector<int32_t> table;  ///< blocks of sequence 0, then of sequence 1

  Cache(const Layout& setup, int64_t tokens_each) : s(setup), tokens(tokens_each) {
    const int64_t each = (tokens + s.block_tokens - 1) / s.block_tokens;
    const int64_t blocks = 2 * each + 1;
    const int64_t elements = blocks * s.kv_heads * s.block_tokens * s.head_dim;
    k.resize(static_cast<size_t>(elements * size_of(s.type)), std::byte{0x55});
    v = k;
    k_scale.resize(static_cast<size_t>(blocks * s.kv_heads * s.block_tokens), -5.0f);
    v_scale = k_scale;
    for (int64_t i = 0; i < 2 * each; ++i) table.push_back(static_cast<int32_t>(i));
    Random random(21);
    for (size_t i = table.size() - 1; i > 0; --i) std::swap(table[i], table[random.below(i + 1)]);
    const bool scaled = s.type == DType::kInt8;
    view = {s.type,
            blocks,
            s.block_tokens,
            s.kv_heads,
            s.head_dim,
            k.data(),
            v.data(),
            scaled ? k_scale.data() : nullptr,
            scaled ? v_scale.data() : nullptr};
  }
  int32_t table_of(int64_t sequence) const {
    return static_cast<int32_t>(sequence * ((tokens + s.block_tokens - 1) / s.block_tokens));
  }
  /// What the cache holds for a token, by its definition.
  double value(bool of_v, int64_t sequence, int64_t position, int64_t head, int64_t i) const {
    const int64_t block = table[table_of(sequence) + position / s.block_tokens];
    const int64_t slot = (block * s.kv_heads + head) * s.block_tokens + position % s.block_tokens;
    const std::byte* at = (of_v ? v : k).data() + (slot * s.head_dim + i) * size_of(s.type);
    uint16_t half;
    std::memcpy(&half, at, s.type == DType::kInt8 ? 1 : 2);
    float full;
    switch (s.type) {
      case DType::kBf16:
        return bf16_to_f32(half);
      case DType::kF16:
        return f16_to_f32(half);
      case DType::kInt8:
        return static_cast<double>(static_cast<int8_t>(*at)) * (of_v ? v_scale : k_scale)[slot];
      default:
        std::memcpy(&full, at, sizeof(full));
        return full;
    }
  }
};

/// Inputs of two sequences of `tokens` rows: q, k, v side by side in rows of `stride` floats.
struct Inputs {
  Layout s;
  int64_t tokens, stride;
  std::vector<float> qkv, slopes;
  float scale;

  Inputs(const Layout& setup, int64_t tokens_each) : s(setup), tokens(tokens_each) {
    stride = (s.heads + 2 * s.kv_heads) * s.head_dim + 3;
    Random random(static_cast<uint64_t>(s.head_dim * 7 + s.heads));
    qkv = random.vector(2 * tokens * stride, 2.0f);
    scale = 1.0f / std::sqrt(static_cast<float>(s.head_dim));
    for (int64_t h = 0; h < s.heads; ++h) slopes.push_back(std::exp2(-1.0f * (h + 1)));
  }
  const float* row(int64_t sequence, int64_t t) const {
    return qkv.data() + (sequence * tokens + t) * stride;
  }
};

/// Writes and attends the rows of both sequences in steps of `chunk` rows each, both in one step;
/// the result is [2, tokens, heads, head_dim].
std::vector<float> run(Machine& machine, const Inputs& in, Cache& cache, int64_t chunk) {
  const Layout& s = in.s;
  const int64_t width = s.heads * s.head_dim;
  std::vector<float> y(static_cast<size_t>(2 * in.tokens * width));
  for (int64_t begin = 0; begin < in.tokens; begin += chunk) {
    const int64_t rows = std::min(chunk, in.tokens - begin);
    std::vector<float> step;
    for (int64_t sequence : {0, 1})
      step.insert(step.end(), in.row(sequence, begin), in.row(sequence, begin) + rows * in.stride);
    std::vector<RowRange> ranges;
    for (int64_t sequence : {0, 1})
      ranges.push_back({static_cast<int32_t>(sequence * rows), static_cast<int32_t>(rows),
                        static_cast<int32_t>(begin), cache.table_of(sequence)});
    const RangeList list{ranges.data(), cache.table.data(), 2, 2 * rows, rows,
                         begin + rows,  rows == 1 ? 2 : 0};
    const float* k = step.data() + width;
    machine.ops().kv_write(*machine.context,
                           {k, k + s.kv_heads * s.head_dim, in.stride, list, &cache.view});
    std::vector<float> part(static_cast<size_t>(2 * rows * width));
    machine.ops().attention(*machine.context,
                            {step.data(), in.stride, list, &cache.view, s.heads, in.scale, s.window,
                             s.alibi ? in.slopes.data() : nullptr, part.data(), s.soft_cap});
    for (int64_t sequence : {0, 1})
      std::copy_n(part.begin() + sequence * rows * width, rows * width,
                  y.begin() + (sequence * in.tokens + begin) * width);
  }
  return y;
}

/// The softmax over all keys that row (sequence, p) sees, in double; the error allowed goes along.
void add_wanted(const Inputs& in, const Cache& cache, int64_t sequence, int64_t p, int64_t head,
                std::vector<double>& wanted, std::vector<double>& allowed) {
  const Layout& s = in.s;
  const int64_t kv_head = head / (s.heads / s.kv_heads);
  const int64_t first = s.window > 0 ? std::max<int64_t>(0, p - s.window + 1) : 0;
  std::vector<double> scores;
  double largest = -INFINITY, magnitude = 0;
  for (int64_t j = first; j <= p; ++j) {
    double dot = 0, total = 0;
    for (int64_t i = 0; i < s.head_dim; ++i) {
      const double product =
          in.row(sequence, p)[head * s.head_dim + i] * cache.value(false, sequence, j, kv_head, i);
      dot += product;
      total += std::fabs(product);
    }
    const double bias = s.alibi ? in.slopes[head] * static_cast<double>(j - p) : 0.0;
    const double score = dot * in.scale;
    scores.push_back((s.soft_cap > 0 ? s.soft_cap * std::tanh(score / s.soft_cap) : score) + bias);
    largest = std::max(largest, scores.back());
    magnitude = std::max(magnitude, total * in.scale + std::fabs(bias));
  }
  double sum = 0, largest_value = 0;
  for (double& score : scores) sum += score = std::exp(score - largest);
  for (int64_t i = 0; i < s.head_dim; ++i) {
    double value = 0;
    for (int64_t j = first; j <= p; ++j) {
      const double v = cache.value(true, sequence, j, kv_head, i);
      value += scores[j - first] * v;
      largest_value = std::max(largest_value, std::fabs(v));
    }
    wanted.push_back(value / sum);
  }
  allowed.resize(wanted.size(),
                 attention_error(s.head_dim, p + 1 - first, magnitude, largest_value));
}

class AttentionTest : public testing::TestWithParam<Layout> {};

TEST_P(AttentionTest, MatchesTheSoftmaxInDouble) {
  const int64_t tokens = 67;
  const Inputs in(GetParam(), tokens);
  Cache cache(GetParam(), tokens);
  const std::vector<float> y = run(*machines().back(), in, cache, tokens);
  std::vector<double> wanted, allowed;
  for (int64_t sequence : {0, 1})
    for (int64_t p = 0; p < tokens; ++p)
      for (int64_t head = 0; head < in.s.heads; ++head)
        add_wanted(in, cache, sequence, p, head, wanted, allowed);
  expect_close(
      y, wanted, [&](size_t i) { return allowed[i]; }, label(GetParam()));
}

TEST_P(AttentionTest, PrefillChunksAndDecodeGiveTheSameBitsEverywhere) {
  const int64_t tokens = 67;
  const Inputs in(GetParam(), tokens);
  Cache first_cache(GetParam(), tokens);
  const std::vector<float> first = run(*machines().front(), in, first_cache, tokens);
  for (const auto& machine : machines()) {
    for (const int64_t chunk : {int64_t{1}, int64_t{5}, int64_t{16}, tokens}) {
      Cache cache(GetParam(), tokens);
      expect_same_bits(run(*machine, in, cache, chunk), first,
                       machine->label + ", chunks of " + std::to_string(chunk));
      ASSERT_EQ(cache.k, first_cache.k);
      ASSERT_EQ(cache.v, first_cache.v);
      ASSERT_EQ(cache.k_scale, first_cache.k_scale);
    }
  }
}

TEST_P(AttentionTest, TheCacheHoldsKAndVRounded) {
  const int64_t tokens = 40;
  const Layout& s = GetParam();
  const Inputs in(s, tokens);
  Cache cache(s, tokens);
  run(*machines().back(), in, cache, tokens);
  for (int64_t sequence : {0, 1})
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t head = 0; head < s.kv_heads; ++head)
        for (const bool of_v : {false, true}) {
          const int64_t from = (s.heads + (of_v ? s.kv_heads : 0) + head) * s.head_dim;
          const float* x = in.row(sequence, t) + from;
          float largest = 0;
          for (int64_t i = 0; i < s.head_dim; ++i) largest = std::max(largest, std::fabs(x[i]));
          for (int64_t i = 0; i < s.head_dim; ++i) {
            const double bound = s.type == DType::kF32 ? 0
                                 : s.type == DType::kInt8
                                     ? rounding_error(Format::kW8, x[i], largest)
                                 : s.type == DType::kF16 ? rounding_error(Format::kF16, x[i], 0)
                                                         : rounding_error(Format::kBf16, x[i], 0);
            ASSERT_LE(std::fabs(cache.value(of_v, sequence, t, head, i) - x[i]), bound);
          }
        }
}

INSTANTIATE_TEST_SUITE_P(All, AttentionTest, testing::ValuesIn(setups()),
                         [](const auto& info) { return label(info.param); });

TEST(Attention, ALongContextStaysAccurate) {
  const Layout s{DType::kBf16, 2, 1, 64, 16};
  const int64_t tokens = 1500;
  const Inputs in(s, tokens);
  Cache cache(s, tokens);
  const std::vector<float> y = run(*machines().back(), in, cache, 512);
  std::vector<double> wanted, allowed;
  std::vector<float> last;
  for (const int64_t p : {int64_t{1000}, tokens - 1})
    for (int64_t head = 0; head < 2; ++head) {
      add_wanted(in, cache, 1, p, head, wanted, allowed);
      const auto at = y.begin() + ((tokens + p) * 2 + head) * 64;
      last.insert(last.end(), at, at + 64);
    }
  expect_close(
      last, wanted, [&](size_t i) { return allowed[i]; }, "1500 keys");
}

}  // namespace
}  // namespace llmpq::test
