// Attention on a GPU: rows of every kind of step against a softmax in double over what the cache
// holds, the same bits however steps are cut, and NaN only where it belongs.
#include "kernels/cuda/attention_setup.hpp"
#include "kernels/cuda/tolerance.hpp"

namespace llmpq::test {
namespace {

class GpuAttentionTest : public GpuTest, public testing::WithParamInterface<Layout> {
 protected:
  static std::vector<float> attend(const Inputs& in, const HostCache& host, GpuCache& cache,
                                   const std::vector<Cut>& cuts, int64_t slack = 0) {
    const Step step(in, host, cuts);
    OnDevice<float> rows(gpu(), stream(), step.rows);
    OnDevice<RowRange> at(gpu(), stream(), step.ranges);
    RangeList ranges = step.list(at.data(), cache.table.data(), in.stride);
    OnDevice<float> y(gpu(), stream(),
                      std::vector<float>(ranges.rows * in.s.heads * in.s.head_dim, -7.0f));
    OnDevice<float> slopes(gpu(), stream(), in.slopes);
    ranges.rows += slack;
    ranges.most_rows += slack;
    ranges.most_tokens += slack;
    gpu().ops().attention(
        stream(), {rows.data(), in.stride, ranges, &cache.view, in.s.heads, in.scale, in.s.window,
                   in.s.alibi ? slopes.data() : nullptr, y.data(), in.s.soft_cap});
    return y.values();
  }
  static bool tensor_cores(const Layout& s) {
    return s.soft_cap == 0 &&
           on_tensor_cores(gpu().device().compute_capability, s.type, s.head_dim, s.block_tokens);
  }
};

/// What some elements must be, with the error allowed.
struct Wanted {
  std::vector<double> value, allowed;
  std::vector<float> actual;
};

/// One head of a row: the softmax over all keys that it sees, in double.
void add_wanted(const Inputs& in, const HostCache& cache, const Cut& at, int64_t head,
                bool tensor_cores, const float* actual, Wanted& wanted) {
  const Layout& s = in.s;
  const int64_t p = at.position, dim = s.head_dim, kv_head = head / (s.heads / s.kv_heads);
  const int64_t first = s.window > 0 ? std::max<int64_t>(0, p - s.window + 1) : 0;
  const float* exact = in.row(at.sequence, p) + head * dim;
  const std::vector<double> q =
      tensor_cores ? rounded_query(s.type, exact, dim) : std::vector<double>(exact, exact + dim);
  std::vector<double> scores, x(dim);
  double largest = -INFINITY, magnitude = 0;
  for (int64_t j = first; j <= p; ++j) {
    cache.read(false, cache.slot(at.sequence, j, kv_head), x.data());
    double dot = 0, total = 0;
    for (int64_t i = 0; i < dim; ++i) {
      dot += q[i] * x[i];
      total += std::fabs(q[i] * x[i]);
    }
    const double bias = s.alibi ? in.slopes[head] * static_cast<double>(j - p) : 0.0;
    const double score = dot * in.scale;
    scores.push_back((s.soft_cap > 0 ? s.soft_cap * std::tanh(score / s.soft_cap) : score) + bias);
    largest = std::max(largest, scores.back());
    magnitude = std::max(magnitude, total * in.scale + std::fabs(bias));
  }
  double sum = 0, largest_value = 0;
  std::vector<double> y(dim);
  for (int64_t j = first; j <= p; ++j) {
    const double weight = std::exp(scores[j - first] - largest);
    cache.read(true, cache.slot(at.sequence, j, kv_head), x.data());
    sum += weight;
    for (int64_t i = 0; i < dim; ++i) {
      y[i] += weight * x[i];
      largest_value = std::max(largest_value, std::fabs(x[i]));
    }
  }
  for (double& value : y) value /= sum;
  wanted.value.insert(wanted.value.end(), y.begin(), y.end());
  wanted.actual.insert(wanted.actual.end(), actual, actual + dim);
  const int64_t keys = p + 1 - first;
  wanted.allowed.resize(wanted.value.size(),
                        tensor_cores
                            ? tensor_attention_error(s.type, dim, keys, magnitude, largest_value)
                            : attention_error(dim, keys, magnitude, largest_value));
}

/// Compares every `every`-th row of a step, and the last, in three of its heads.
void expect_rows(const Inputs& in, const HostCache& cache, bool tensor_cores,
                 const std::vector<Cut>& cuts, int64_t every, const std::vector<float>& y) {
  Wanted wanted;
  int64_t row = 0;
  for (const Cut& cut : cuts) {
    for (int64_t r = 0; r < cut.rows; ++r, ++row) {
      if (r % every != 0 && r != cut.rows - 1) continue;
      for (int64_t step = 0; step < std::min<int64_t>(3, in.s.heads); ++step) {
        const int64_t head = (row + step * in.s.heads / 3) % in.s.heads;
        add_wanted(in, cache, {cut.sequence, cut.position + r, 1}, head, tensor_cores,
                   y.data() + (row * in.s.heads + head) * in.s.head_dim, wanted);
      }
    }
  }
  expect_close(
      wanted.actual, wanted.value, [&](size_t i) { return wanted.allowed[i]; }, label(in.s));
}

/// The rows of `part` within the output of a step that was one cut from position 0.
std::vector<float> rows_of(const Inputs& in, const std::vector<float>& y, const Cut& part) {
  const int64_t width = in.s.heads * in.s.head_dim;
  return {y.begin() + part.position * width, y.begin() + (part.position + part.rows) * width};
}

TEST_P(GpuAttentionTest, PrefillAndDecodeMatchTheSoftmaxInDouble) {
  const Inputs in(GetParam());
  HostCache host(GetParam());
  fill(cpu(), in, host);
  GpuCache cache(gpu(), stream(), host);
  const bool tensor = tensor_cores(in.s);
  for (const auto& [cuts, every] : std::vector<std::pair<std::vector<Cut>, int64_t>>{
           {{{0, 0, kTokens}}, 67},                           // a prompt at once
           {{{0, 0, 67}, {1, 0, 2}, {1, 255, 2}}, 3},         // short ones
           {{{1, 700, 5}, {0, 250, 64}, {1, 1436, 64}}, 21},  // chunks behind a context
       })
    expect_rows(in, host, tensor, cuts, every, attend(in, host, cache, cuts));

  std::vector<Cut> singles;
  for (const int64_t p : {0, 1, 14, 15, 16, 63, 64, 254, 255, 256, 511, 699, 1499})
    singles.push_back({p % 2, p, 1});
  expect_rows(in, host, tensor, singles, 1, attend(in, host, cache, singles));
  const std::vector<Cut> early{{0, 3, 1}, {1, 250, 1}};  // one piece: no adding up
  expect_rows(in, host, tensor, early, 1, attend(in, host, cache, early));
}

TEST_P(GpuAttentionTest, ARowsBitsDependOnItsPositionAlone) {
  const Inputs in(GetParam());
  HostCache host(GetParam());
  fill(cpu(), in, host);
  GpuCache cache(gpu(), stream(), host);
  const std::vector<float> whole = attend(in, host, cache, {{0, 0, 400}});
  std::vector<Cut> cuts;
  for (const int64_t rows : {5, 64, 2, 200})
    cuts.push_back({0, cuts.empty() ? 0 : cuts.back().position + cuts.back().rows, rows});
  const std::vector<Cut> singles{{1, 290, 1}, {1, 1400, 1}, {0, 0, 1}};
  const std::vector<float> alone = attend(in, host, cache, singles);
  const int64_t width = in.s.heads * in.s.head_dim;

  for (const Cut& cut : cuts) {
    std::vector<float> wanted(alone.begin(), alone.begin() + width);
    const std::vector<float> part = rows_of(in, whole, cut);
    wanted.insert(wanted.end(), part.begin(), part.end());
    wanted.insert(wanted.end(), alone.begin() + width, alone.end());
    const std::vector<Cut> mixed{singles[0], cut, singles[1], singles[2]};
    for (const int64_t slack : {0, 333})
      expect_same_bits(attend(in, host, cache, mixed, slack), wanted, label(in.s));
  }
  const std::vector<float> first(alone.begin(), alone.begin() + width);
  expect_same_bits(attend(in, host, cache, {singles[0]}), first, "one row");
}

/// Elements of two steps that differ, by whether the row sees what was broken.
void expect_broken(const Inputs& in, int64_t begin, int64_t key, const std::vector<float>& clean,
                   const std::vector<float>& broken) {
  const Layout& s = in.s;
  const int64_t group = s.heads / s.kv_heads;
  int64_t seen = 0, unseen = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(clean.size()); ++i) {
    const int64_t p = begin + i / (s.heads * s.head_dim), head = i / s.head_dim % s.heads;
    const bool sees = p >= key && (s.window == 0 || key > p - s.window) && head < group;
    (sees ? seen : unseen) += 1;
    const bool element_is_nan = i % s.head_dim == 3;  // the one whose v is broken
    if (sees && element_is_nan) {
      ASSERT_FALSE(std::isfinite(broken[i])) << label(s) << ": row " << p << ", head " << head;
    }
    if (!sees) {
      ASSERT_EQ(std::memcmp(&broken[i], &clean[i], 4), 0)
          << label(s) << ": row " << p << ", head " << head << ": " << broken[i] << ", not "
          << clean[i];
    }
  }
  ASSERT_GT(seen, 0);
  ASSERT_GT(unseen, 0);
}

TEST_P(GpuAttentionTest, WhatIsNotFiniteReachesOnlyTheRowsThatSeeIt) {
  const int64_t key = 40, rows = 150;
  Inputs in(GetParam());
  HostCache clean_host(GetParam());
  fill(cpu(), in, clean_host);
  GpuCache clean_cache(gpu(), stream(), clean_host);
  const std::vector<float> clean = attend(in, clean_host, clean_cache, {{0, 0, rows}});
  const int64_t v = (in.s.heads + in.s.kv_heads) * in.s.head_dim;
  for (const float bad : {NAN, INFINITY}) {
    in.row(0, key)[v + 3] = bad;
    HostCache host(GetParam());
    fill(cpu(), in, host);
    GpuCache cache(gpu(), stream(), host);
    expect_broken(in, 0, key, clean, attend(in, host, cache, {{0, 0, rows}}));
    for (const int64_t p : {key - 1, key, key + 1, rows - 1}) {
      const std::vector<float> was = attend(in, clean_host, clean_cache, {{0, p, 1}});
      const std::vector<float> is = attend(in, host, cache, {{0, p, 1}});
      const bool sees = p >= key && (in.s.window == 0 || key > p - in.s.window);
      EXPECT_EQ(std::isfinite(is[3]), !sees) << label(in.s) << ": single row " << p;
      if (!sees) expect_same_bits(is, was, "a single row that does not see it");
    }
  }
}

TEST_P(GpuAttentionTest, AQThatIsNotFiniteStaysInItsRow) {
  const int64_t rows = 40, width = GetParam().heads * GetParam().head_dim;
  Inputs in(GetParam());
  HostCache host(GetParam());
  fill(cpu(), in, host);
  GpuCache cache(gpu(), stream(), host);
  const std::vector<Cut> cuts{{0, 0, rows}, {1, 30, 1}, {1, 31, 1}};
  const std::vector<float> clean = attend(in, host, cache, cuts);
  in.row(0, 17)[1] = NAN;
  in.row(1, 30)[1] = NAN;
  const std::vector<float> broken = attend(in, host, cache, cuts);
  for (int64_t i = 0; i < static_cast<int64_t>(clean.size()); ++i) {
    const int64_t row = i / width, head = i % width / in.s.head_dim;
    const bool is_its = (row == 17 || row == rows) && head == 0;
    ASSERT_EQ(std::isnan(broken[i]), is_its) << label(in.s) << ": row " << row << " head " << head;
    if (!is_its) {
      ASSERT_EQ(std::memcmp(&broken[i], &clean[i], 4), 0) << label(in.s);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GpuAttentionTest, testing::ValuesIn(layouts()),
                         [](const auto& info) { return label(info.param); });

}  // namespace
}  // namespace llmpq::test
