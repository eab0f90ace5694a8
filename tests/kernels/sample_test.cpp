// Choosing and scoring on the CPU: draws against the inverse of the distribution in double, the
// same bits on every machine, rows that end without a token. What the steps of a choice mean is
// tested in tests/layer/sampler_test.cpp.
#include <gtest/gtest.h>

#include <numeric>

#include "kernels/cpu/kernel_table.hpp"
#include "kernels/softmax.hpp"
#include "sample_cases.hpp"

namespace llmpq::test {
namespace {

/// The weights in double, by the README's order, zero for what is left out; empty where a cut is so
/// close to a token's edge that rounding may move it.
std::vector<double> reference_weights(const SampleRow& row, std::vector<double> logits) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  const double max = logits[order[0]];
  std::vector<double> weights(logits.size());
  double total = 0, sum = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    if (row.top_k > 0 && rank >= static_cast<size_t>(row.top_k)) break;
    const double weight = std::exp((logits[order[rank]] - max) / row.temperature);
    if (std::fabs(weight - row.min_p) < 1e-5 * row.min_p) return {};
    if (weight >= row.min_p) total += weights[order[rank]] = weight;
  }
  for (size_t i : order) {
    if (row.top_p >= 1) break;
    if (std::fabs(sum / total - row.top_p) < 1e-5) return {};
    if (sum >= row.top_p * total && sum > 0) weights[i] = 0;
    sum += weights[i];
  }
  return weights;
}

TEST(Sample, ADrawInvertsTheDistribution) {
  Random random(5);
  int checked = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    const int64_t vocab = 1 + random.below(60);
    SampleCase one;
    one.vocab = vocab;
    one.logits = random.vector(vocab, 5.0f);
    SampleRow row = greedy_row();
    row.temperature = 0.3f + std::fabs(random.uniform());
    if (random.below(2) == 0) row.top_k = static_cast<int32_t>(1 + random.below(vocab));
    if (random.below(2) == 0) row.top_p = 0.5f + 0.49f * random.uniform();
    if (random.below(2) == 0) row.min_p = 0.1f + 0.09f * random.uniform();
    row.bits = random.next();
    one.rows = {row};
    const std::vector<double> weights =
        reference_weights(row, std::vector<double>(one.logits.begin(), one.logits.end()));
    if (weights.empty()) continue;
    const auto token = static_cast<size_t>(run_sample(*machines().front(), one).tokens[0]);
    ASSERT_LT(token, weights.size());
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    const double before = std::accumulate(weights.begin(), weights.begin() + int64_t(token), 0.0);
    const double at = static_cast<double>(row.bits) * 0x1p-64;
    ASSERT_GT(weights[token], 0) << "trial " << trial << ": a token that was cut away";
    ASSERT_GE(at, before / total - 1e-5) << trial;
    ASSERT_LE(at, (before + weights[token]) / total + 1e-5) << trial;
    ++checked;
  }
  EXPECT_GT(checked, 1800);
}

TEST(Sample, SameBitsOnEveryMachine) {
  for (const int64_t vocab : {1, 7, 1000}) {
    Random random(static_cast<uint64_t>(vocab));
    const SampleCase wanted = random_case(random, 200, vocab, 20);
    const SampleOutcome first = run_sample(*machines().front(), wanted);
    for (const auto& machine : machines())
      expect_same(run_sample(*machine, wanted), first, machine->label);
  }
}

/// The kernels for whole vocabularies against plain loops.
TEST(Sample, PassesOverAllLogitsLeaveNoneOut) {
  Random random(23);
  for (const Isa isa : available_isas())
    for (const int64_t count : {1, 15, 16, 17, 47, 1000}) {
      std::vector<float> logits = random.vector(count, 9.0f), wanted = logits;
      for (int64_t at = 0; at < count; at += 7) logits[at] = at % 2 == 0 ? NAN : INFINITY;
      for (int64_t at = 0; at < count; at += 7) wanted[at] = kNever;
      kernels(isa).drop_nonfinite(logits.data(), count);
      EXPECT_EQ(logits, wanted) << name(isa) << " " << count;
      for (const int64_t at : {int64_t{0}, count / 2, count - 1}) {
        std::vector<float> values = logits;
        values[at] = 100;
        EXPECT_EQ(kernels(isa).largest(values.data(), count), 100) << name(isa) << " " << count;
      }
      EXPECT_EQ(kernels(isa).largest(logits.data(), count),
                *std::max_element(logits.begin(), logits.end()));
      const std::vector<float> none(static_cast<size_t>(count), kNever);
      EXPECT_EQ(kernels(isa).largest(none.data(), count), kNever);
    }
}

/// Against libm in double; what lies past the end of a row is left out.
TEST(Sample, SumsOfADivergenceAreThePlainOnesWithTheSameBits) {
  for (const int64_t count : {1, 15, 16, 17, 1000}) {
    Random random(static_cast<uint64_t>(count));
    const std::vector<float> a = random.vector(count + 16, 9.0f),
                             b = random.vector(count + 16, 9.0f);
    const float a_max = *std::max_element(a.begin(), a.begin() + count);
    const float b_max = *std::max_element(b.begin(), b.begin() + count);
    DivergenceSums wanted;
    for (int64_t i = 0; i < count; ++i) {
      const double below = a[i] - a_max, other_below = b[i] - b_max;
      wanted.weight += std::exp(below);
      wanted.other_weight += std::exp(other_below);
      wanted.difference += std::exp(below) * (below - other_below);
    }
    const auto sums_of = [&](Isa isa) {
      return kernels(isa).divergence(a.data(), a_max, b.data(), b_max, count);
    };
    const DivergenceSums first = sums_of(Isa::kPlain);
    EXPECT_NEAR(first.weight, wanted.weight, 2e-7 * wanted.weight) << count;
    EXPECT_NEAR(first.other_weight, wanted.other_weight, 2e-7 * wanted.other_weight) << count;
    EXPECT_NEAR(first.difference, wanted.difference, 2e-7 * 18 * wanted.weight) << count;
    for (const Isa isa : available_isas()) {
      const DivergenceSums sums = sums_of(isa);
      EXPECT_EQ(sums.weight, first.weight) << name(isa) << " " << count;
      EXPECT_EQ(sums.other_weight, first.other_weight) << name(isa) << " " << count;
      EXPECT_EQ(sums.difference, first.difference) << name(isa) << " " << count;
    }
  }
}

TEST(Sample, ARowDoesNotDependOnItsNeighbours) {
  Random random(17);
  const SampleCase all = random_case(random, 60, 300, 5);
  const SampleOutcome together = run_sample(*machines().back(), all);
  for (size_t r = 0; r < all.rows.size(); ++r) {
    SampleCase one = all;
    one.rows = {all.rows[r]};
    one.logits.assign(all.logits.begin() + int64_t(r) * 300,
                      all.logits.begin() + int64_t(r + 1) * 300);
    const SampleOutcome alone = run_sample(*machines().front(), one);
    ASSERT_EQ(alone.tokens[0], together.tokens[r]);
    ASSERT_EQ(alone.logprobs[0], together.logprobs[r]);
  }
}

TEST(Sample, NoFiniteLogitIsNoToken) {
  SampleCase broken;
  broken.vocab = 3;
  broken.top = 2;
  broken.logits = {NAN, INFINITY, -INFINITY, 1, 2, 3};
  broken.rows = {greedy_row(), greedy_row()};
  broken.rows[0].logprobs = broken.rows[1].logprobs = 2;
  const SampleOutcome got = run_sample(*machines().front(), broken);
  EXPECT_EQ(got.tokens, (std::vector<int32_t>{-1, 2}));
  EXPECT_EQ(got.top_ids, (std::vector<int32_t>{-1, -1, 2, 1}));
  EXPECT_EQ(got.logprobs[0], 0);
  EXPECT_EQ(got.top_logprobs[0], 0);
}

TEST(Sample, PlacesOfTheLikeliestThatNobodyWantsAreEmpty) {
  SampleCase wanted;
  wanted.vocab = 3;
  wanted.top = 5;
  wanted.logits = {1, 3, 2, 1, 3, 2};
  wanted.rows = {greedy_row(), greedy_row()};
  wanted.rows[0].logprobs = 5;
  wanted.rows[1].logprobs = 1;
  const SampleOutcome got = run_sample(*machines().front(), wanted);
  EXPECT_EQ(got.top_ids, (std::vector<int32_t>{1, 2, 0, -1, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(got.logprobs[0], got.logprobs[1]);
  EXPECT_EQ(got.logprobs[0], got.top_logprobs[0]);
}

TEST(Score, IsTheLogSoftmaxAtTheTarget) {
  Random random(23);
  const int64_t rows = 40, vocab = 777;
  std::vector<float> logits = random.vector(rows * vocab, 8.0f);
  logits[5] = NAN;
  std::fill_n(logits.begin() + 39 * vocab, vocab, -INFINITY);
  std::vector<int32_t> targets;
  for (int64_t r = 0; r < rows; ++r) targets.push_back(static_cast<int32_t>(random.below(vocab)));
  for (const auto& machine : machines()) {
    std::vector<float> scores(rows);
    machine->ops().score(*machine->context,
                         {logits.data(), targets.data(), rows, vocab, scores.data()});
    for (int64_t r = 0; r + 1 < rows; ++r) {
      double sum = 0;
      for (int64_t i = 0; i < vocab; ++i)
        if (!std::isnan(logits[r * vocab + i])) sum += std::exp(double{logits[r * vocab + i]});
      ASSERT_NEAR(scores[r], logits[r * vocab + targets[r]] - std::log(sum), 2e-6) << r;
    }
    EXPECT_TRUE(std::isnan(scores[39])) << "no finite logit";
  }
}

TEST(Score, ATargetThatIsNotFiniteIsImpossible) {
  const std::vector<float> logits{1, NAN, 2, INFINITY};
  for (const int32_t target : {1, 3}) {
    float score = 0;
    Machine& machine = *machines().front();
    machine.ops().score(*machine.context, {logits.data(), &target, 1, 4, &score});
    EXPECT_EQ(score, -INFINITY);
  }
}

}  // namespace
}  // namespace llmpq::test
