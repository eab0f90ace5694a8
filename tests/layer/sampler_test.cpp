#include "layer/sampler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "kernels/backend.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

using ::testing::ElementsAre;
using Logits = std::vector<float>;

Sampling greedy() {
  Sampling sampling;
  sampling.temperature = 0;
  return sampling;
}

/// One row of Ops::sample on the CPU, for what a sampler asks.
SampledToken choose(const SequenceSampler& sampler, Logits logits) {
  static const auto backend = make_cpu_backend(1, "auto");
  static const auto context = backend->make_context();
  SampleRequests requests;
  sampler.add_request(requests);
  const int32_t wanted = requests.rows.at(0).logprobs;
  const size_t top = wanted > 1 ? static_cast<size_t>(wanted) : 0;
  SampledToken chosen;
  chosen.top_ids.resize(top);
  chosen.top_logprobs.resize(top);
  backend->ops().sample(*context, {.logits = logits.data(),
                                   .rows = 1,
                                   .vocab = static_cast<int64_t>(logits.size()),
                                   .sample = requests.rows.data(),
                                   .counted = requests.counted.data(),
                                   .masked = requests.masked.data(),
                                   .top = static_cast<int64_t>(top),
                                   .tokens = &chosen.token,
                                   .logprobs = &chosen.logprob,
                                   .top_ids = chosen.top_ids.data(),
                                   .top_logprobs = chosen.top_logprobs.data()});
  chosen.top_ids.resize(std::min(top, logits.size()));
  chosen.top_logprobs.resize(chosen.top_ids.size());
  return chosen;
}

/// The choice after a prompt and an output, with fresh state.
SampledToken choose(const Sampling& sampling, Logits logits,
                    const std::vector<int32_t>& prompt = {},
                    const std::vector<int32_t>& output = {}, std::vector<int32_t> eos = {},
                    uint64_t seed = 1, int32_t sample = 0) {
  SequenceSampler sampler(seed, sample, static_cast<int32_t>(prompt.size()), sampling, eos,
                          static_cast<int64_t>(logits.size()));
  sampler.feed(prompt, 0);
  sampler.feed(output, static_cast<int64_t>(prompt.size()));
  return choose(sampler, std::move(logits));
}

Logits random_logits(size_t count, unsigned seed, float spread = 2) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  Logits logits(count);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

std::vector<double> softmax(const Logits& logits, double temperature) {
  const double max = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  for (float logit : logits) p.push_back(std::exp((logit - max) / temperature));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= sum;
  return p;
}

/// How often each token is drawn, over positions 0, 1, 2, ...
std::vector<int> draw_counts(const Sampling& sampling, const Logits& logits, int draws) {
  std::vector<int> counts(logits.size());
  SequenceSampler sampler(42, 0, 0, sampling, {}, static_cast<int64_t>(logits.size()));
  for (int32_t position = 0; position < draws; ++position) {
    ++counts[static_cast<size_t>(choose(sampler, logits).token)];
    sampler.feed(std::vector<int32_t>{0}, position);
  }
  return counts;
}

/// Pearson's statistic against five standard deviations above its mean; tokens of no probability
/// may not come at all.
void expect_distribution(const std::vector<int>& counts, const std::vector<double>& p, int draws) {
  double chi = 0;
  int freedom = -1;
  for (size_t i = 0; i < p.size(); ++i) {
    const double want = p[i] * draws;
    if (want == 0) {
      EXPECT_EQ(counts[i], 0) << i;
      continue;
    }
    ASSERT_GT(want, 5) << "too few draws for token " << i;
    chi += (counts[i] - want) * (counts[i] - want) / want;
    ++freedom;
  }
  ASSERT_GT(freedom, 0);
  EXPECT_LT(chi, freedom + 5 * std::sqrt(2.0 * freedom));
}

TEST(Sampler, GreedyTakesTheLowestOfEqualIds) {
  EXPECT_EQ(choose(greedy(), {1, 3, 2, 3}).token, 1);
  EXPECT_EQ(choose(greedy(), {-5}).token, 0);
}

TEST(Sampler, DrawsFollowTheProbabilities) {
  const Logits logits = random_logits(12, 5, 1);
  for (float temperature : {0.7f, 1.0f, 1.8f}) {
    Sampling sampling;
    sampling.temperature = temperature;
    expect_distribution(draw_counts(sampling, logits, 20000), softmax(logits, temperature), 20000);
  }
}

TEST(Sampler, SeedSampleAndPositionGiveOtherDraws) {
  const Logits logits = random_logits(1000, 6, 0.1f);
  std::set<int32_t> tokens;
  for (uint64_t seed : {1, 2, 3})
    for (int32_t sample : {0, 1, 2})
      tokens.insert(choose({}, logits, {}, {}, {}, seed, sample).token);
  EXPECT_GT(tokens.size(), 6u);
  EXPECT_EQ(choose({}, logits).token, choose({}, logits).token);
}

/// Which tokens a distribution keeps under top-k, min-p and top-p, by sorting everything.
std::set<int32_t> kept_by_brute_force(const Sampling& sampling, const Logits& logits) {
  std::vector<double> p = softmax(logits, sampling.temperature);
  std::vector<int32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return p[static_cast<size_t>(a)] > p[static_cast<size_t>(b)];
  });
  if (sampling.top_k > 0) order.resize(std::min(order.size(), static_cast<size_t>(sampling.top_k)));
  const double most = p[static_cast<size_t>(order[0])];
  std::erase_if(order,
                [&](int32_t id) { return p[static_cast<size_t>(id)] < sampling.min_p * most; });
  double total = 0, sum = 0;
  for (int32_t id : order) total += p[static_cast<size_t>(id)];
  std::set<int32_t> kept;
  for (int32_t id : order) {
    if (sum >= sampling.top_p * total && !kept.empty()) break;
    kept.insert(id);
    sum += p[static_cast<size_t>(id)];
  }
  return kept;
}

struct Cuts {
  int32_t top_k;
  float top_p, min_p, temperature;
};

TEST(Sampler, CutsKeepWhatBruteForceKeeps) {
  const Logits logits = random_logits(12, 7, 1);
  for (const Cuts& cuts :
       {Cuts{3, 1, 0, 1}, Cuts{0, 0.8f, 0, 1}, Cuts{0, 1, 0.3f, 1}, Cuts{6, 0.7f, 0, 1.5f},
        Cuts{8, 0.9f, 0.2f, 0.8f}, Cuts{1, 1, 0, 1}, Cuts{0, 1e-6f, 0, 1}, Cuts{100, 1, 1, 2}}) {
    Sampling sampling;
    sampling.top_k = cuts.top_k;
    sampling.top_p = cuts.top_p;
    sampling.min_p = cuts.min_p;
    sampling.temperature = cuts.temperature;
    const std::set<int32_t> kept = kept_by_brute_force(sampling, logits);
    ASSERT_LT(kept.size(), logits.size());
    const std::vector<int> counts = draw_counts(sampling, logits, 20000);
    std::vector<double> p = softmax(logits, cuts.temperature);
    double total = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      if (!kept.contains(static_cast<int32_t>(i))) p[i] = 0;
      total += p[i];
    }
    for (double& value : p) value /= total;
    if (kept.size() == 1)
      EXPECT_EQ(counts[static_cast<size_t>(*kept.begin())], 20000);
    else
      expect_distribution(counts, p, 20000);
  }
}

TEST(Sampler, TopKKeepsTheLowerOfEqualIds) {
  Sampling sampling;
  sampling.top_k = 2;
  const std::vector<int> counts = draw_counts(sampling, {1, 1, 1, 1}, 1000);
  EXPECT_GT(counts[0], 400);
  EXPECT_EQ(counts[0] + counts[1], 1000);
}

TEST(Sampler, RepetitionPenaltyCountsPromptAndOutput) {
  Sampling sampling = greedy();
  sampling.repetition_penalty = 2;
  // 4 / 2 < 2.5; and -1 * 2 < -1.5 where everything is negative.
  EXPECT_EQ(choose(sampling, {4, 2.5f, 0}, {0}).token, 1);
  EXPECT_EQ(choose(sampling, {4, 2.5f, 0}, {2}, {0}).token, 1);
  EXPECT_EQ(choose(sampling, {4, 2.5f, 0}, {2, 1}).token, 0);
  EXPECT_EQ(choose(sampling, {-1, -1.5f, -3}, {0}).token, 1);
  EXPECT_EQ(choose(sampling, {4, 1.9f, 0}, {0, 0, 0}).token, 0) << "once, however often it came";
}

TEST(Sampler, PresenceAndFrequencyCountTheOutputOnly) {
  Sampling presence = greedy();
  presence.presence_penalty = 1.5f;
  EXPECT_EQ(choose(presence, {4, 3, 0}, {0, 0}).token, 0);
  EXPECT_EQ(choose(presence, {4, 3, 0}, {1}, {0}).token, 1);
  EXPECT_EQ(choose(presence, {5, 3, 0}, {1}, {0, 0, 0}).token, 0);
  Sampling frequency = greedy();
  frequency.frequency_penalty = 0.75f;
  EXPECT_EQ(choose(frequency, {4, 3, 0}, {0, 0, 0}).token, 0);
  EXPECT_EQ(choose(frequency, {4, 3, 0}, {1}, {0}).token, 0);
  EXPECT_EQ(choose(frequency, {4, 3, 0}, {1}, {0, 0}).token, 1);
  frequency.frequency_penalty = -1;
  EXPECT_EQ(choose(frequency, {4, 3, 0}, {2}, {1, 1}).token, 1) << "negative penalties attract";
}

/// All penalties together: the draws follow the distribution of the closed form.
TEST(Sampler, PenaltiesComeBeforeTheTemperature) {
  Sampling sampling;
  sampling.temperature = 1.7f;
  sampling.repetition_penalty = 1.3f;
  sampling.presence_penalty = 0.4f;
  sampling.frequency_penalty = 0.2f;
  const Logits logits{1.0f, 0.5f, -0.5f, 0.8f};
  const std::vector<int32_t> prompt{0, 2}, output{2, 3, 2};
  const Logits penalized{1.0f / 1.3f, 0.5f, -0.5f * 1.3f - 2 * 0.2f - 0.4f,
                         0.8f / 1.3f - 0.2f - 0.4f};
  constexpr int kDraws = 20000;
  std::vector<int> counts(4);
  for (uint64_t seed = 0; seed < kDraws; ++seed)
    ++counts[static_cast<size_t>(choose(sampling, logits, prompt, output, {}, seed).token)];
  expect_distribution(counts, softmax(penalized, 1.7), kDraws);
}

TEST(Sampler, MinTokensMasksEndings) {
  Sampling sampling = greedy();
  sampling.min_tokens = 2;
  sampling.stop_token_ids = {1, 99, -4};  // ids outside the vocabulary never come anyway
  const Logits logits{5, 4, 3};
  const std::vector<int32_t> eos{0};
  EXPECT_EQ(choose(sampling, logits, {2, 2, 2}, {}, eos).token, 2);
  EXPECT_EQ(choose(sampling, logits, {2}, {2}, eos).token, 2);
  EXPECT_EQ(choose(sampling, logits, {2}, {2, 2}, eos).token, 0);
  sampling.ignore_eos = true;
  EXPECT_EQ(choose(sampling, logits, {2}, {}, eos).token, 0) << "it ends nothing then";
  sampling.stop_token_ids = {0, 1, 2, 0};
  EXPECT_EQ(choose(sampling, logits, {2}, {}, eos).token, 0) << "something must be chosen";
}

TEST(Sampler, LogprobsAreOfTheRawDistribution) {
  Sampling sampling;
  sampling.temperature = 0.3f;
  sampling.top_k = 50;
  sampling.repetition_penalty = 1.5f;
  sampling.logprobs = 5;
  const Logits logits = random_logits(3001, 8, 3);
  const std::vector<double> p = softmax(logits, 1);
  std::vector<int32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const SampledToken chosen = choose(sampling, logits, {order[0]}, {order[1]}, {}, seed);
    EXPECT_NEAR(chosen.logprob, std::log(p[static_cast<size_t>(chosen.token)]), 2e-6);
    ASSERT_EQ(chosen.top_ids, std::vector<int32_t>(order.begin(), order.begin() + 5));
    for (size_t i = 0; i < 5; ++i)
      EXPECT_NEAR(chosen.top_logprobs[i], std::log(p[static_cast<size_t>(order[i])]), 2e-6);
  }
}

TEST(Sampler, TopLogprobsOnlyBeyondOneAndTiesByLowerId) {
  Sampling sampling = greedy();
  const Logits logits{0, 1, 1, 0};
  EXPECT_EQ(choose(sampling, logits).logprob, 0);
  sampling.logprobs = 1;
  EXPECT_NEAR(choose(sampling, logits).logprob, -std::log(2 + 2 * std::exp(-1.0)), 1e-6);
  EXPECT_TRUE(choose(sampling, logits).top_ids.empty());
  sampling.logprobs = 3;
  EXPECT_THAT(choose(sampling, logits).top_ids, ElementsAre(1, 2, 0));
  sampling.logprobs = 20;
  EXPECT_THAT(choose(sampling, logits).top_ids, ElementsAre(1, 2, 0, 3)) << "the whole vocabulary";
}

/// A preempted sequence comes again with its prompt and its output as the rows of a new prefill,
/// cut elsewhere.
TEST(Sampler, PreemptionChangesNothing) {
  Sampling sampling;
  sampling.temperature = 1.2f;
  sampling.repetition_penalty = 1.2f;
  sampling.presence_penalty = 0.3f;
  sampling.frequency_penalty = 0.1f;
  sampling.top_p = 0.9f;
  sampling.min_tokens = 8;
  sampling.logprobs = 3;
  const std::vector<int32_t> prompt{3, 1, 4, 1, 5}, eos{9};
  const auto logits_at = [](size_t position) {
    return random_logits(64, static_cast<unsigned>(position), 1);
  };
  const auto fresh = [&] { return SequenceSampler(77, 2, 5, sampling, eos, 64); };
  std::vector<int32_t> tokens = prompt;
  SequenceSampler whole = fresh();
  whole.feed(prompt, 0);
  for (size_t step = 0; step < 20; ++step) {
    const Logits logits = logits_at(tokens.size());
    const SampledToken chosen = choose(whole, logits);
    SequenceSampler restarted = fresh();
    for (size_t begin = 0; begin < tokens.size(); begin += step + 1)
      restarted.feed(std::span(tokens).subspan(begin, std::min(step + 1, tokens.size() - begin)),
                     static_cast<int64_t>(begin));
    const SampledToken same = choose(restarted, logits);
    ASSERT_EQ(same.token, chosen.token);
    EXPECT_EQ(same.logprob, chosen.logprob);
    EXPECT_EQ(same.top_ids, chosen.top_ids);
    EXPECT_EQ(same.top_logprobs, chosen.top_logprobs);
    whole.feed(std::span(&chosen.token, 1), static_cast<int64_t>(tokens.size()));
    tokens.push_back(chosen.token);
  }
}

TEST(Sampler, LogitsThatAreNotFiniteAreNeverChosen) {
  for (float temperature : {0.0f, 1.0f}) {
    Sampling sampling;
    sampling.temperature = temperature;
    sampling.logprobs = 4;
    const SampledToken chosen = choose(sampling, {NAN, INFINITY, -2, -INFINITY});
    EXPECT_EQ(chosen.token, 2);
    EXPECT_NEAR(chosen.logprob, 0, 1e-6);
    EXPECT_EQ(chosen.top_logprobs[1], -INFINITY);
  }
  EXPECT_EQ(choose(greedy(), {NAN, INFINITY}, {0, 1, 0}).token, -1) << "no finite logit: no token";
}

/// Values that the options refuse still end in a token: per-row columns are data from outside.
TEST(Sampler, AbsurdValuesEndInAToken) {
  const Logits logits{3e38f, -3e38f, 0, 1};
  for (float value : {-1.0f, 0.0f, 1e-45f, 1e30f, INFINITY, -INFINITY, NAN}) {
    Sampling sampling;
    sampling.temperature = sampling.top_p = sampling.min_p = value;
    sampling.repetition_penalty = sampling.presence_penalty = sampling.frequency_penalty = value;
    sampling.top_k = -3;
    const int32_t token = choose(sampling, logits, {0, 1}, {0, 2}).token;
    EXPECT_TRUE(token >= 0 && token < 4) << value;
  }
}

TEST(Sampler, RefusesTokensOutOfOrderOrVocabulary) {
  Sampling sampling;
  sampling.repetition_penalty = 2;
  SequenceSampler sampler(1, 0, 4, sampling, {}, 4);
  const std::vector<int32_t> tokens{1, 2};
  sampler.feed(tokens, 0);
  EXPECT_THROW(sampler.feed(tokens, 3), Error);
  EXPECT_THROW(sampler.feed(std::vector<int32_t>{4}, 2), Error);
}

TEST(Sampler, RequestsFollowEachOther) {
  Sampling sampling = greedy();
  sampling.frequency_penalty = 1;
  sampling.min_tokens = 1;
  sampling.stop_token_ids = {3, 1, 3};
  SequenceSampler first(1, 0, 1, sampling, {}, 8), second(2, 5, 4, greedy(), {}, 8);
  first.feed(std::vector<int32_t>{7}, 0);
  SampleRequests requests;
  first.add_request(requests);
  EXPECT_THAT(requests.masked, ElementsAre(1, 3)) << "each once, ascending";
  first.feed(std::vector<int32_t>{2, 7, 2}, 1);
  second.feed(std::vector<int32_t>{6, 6, 6, 6}, 0);
  requests = {};
  second.add_request(requests);
  first.add_request(requests);
  ASSERT_EQ(requests.rows.size(), 2u);
  EXPECT_TRUE(requests.masked.empty());
  EXPECT_EQ(requests.rows[0].counted_end, 0) << "no penalty, no counts";
  EXPECT_EQ(requests.rows[1].counted_begin, 0);
  ASSERT_EQ(requests.rows[1].counted_end, 2);
  EXPECT_EQ(requests.counted[0].token, 2);
  EXPECT_EQ(requests.counted[0].count, 2);
  EXPECT_EQ(requests.counted[1].token, 7);
  EXPECT_EQ(requests.counted[1].count, 1) << "once in the prompt, once in the output";
  EXPECT_EQ(requests.rows[0].bits, draw_bits(2, 5, 4));
  EXPECT_EQ(requests.rows[1].bits, draw_bits(1, 0, 4));
}

}  // namespace
}  // namespace llmpq
