#include "pipeline/request.hpp"

#include <gtest/gtest.h>

namespace llmpq {
namespace {

const Tokenizer& tokenizer() {
  static const Tokenizer kTokenizer =
      Tokenizer::load(std::string(LLMPQ_DATA) + "/tiny/tokenizer.json");
  return kTokenizer;
}

Request request_with(const Sampling& sampling) { return {7, 1, {1, 2, 3}, sampling, 0}; }

/// Feeds tokens until the request is finished; the tokens that were not needed are ignored.
FinishedRow run(const Sampling& sampling, const std::vector<int32_t>& tokens,
                std::vector<int32_t> eos = {}) {
  RunningRequest request(request_with(sampling), &tokenizer(), eos);
  for (int32_t token : tokens)
    if (request.push({token, -0.5f, {}, {}})) return request.finish(3);
  ADD_FAILURE() << "the request never finished";
  return {};
}

std::vector<int32_t> ids(const std::string& text) { return tokenizer().encode(text, false); }

TEST(StopFinder, FindsTheEarliestMatchThatEndsInNewText) {
  const StopFinder finder({"cd", "bcd", "x"});
  const auto match = finder.find("abcdx", 3);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->position, 1u);
  EXPECT_EQ(*match->stop, "bcd");
  EXPECT_FALSE(finder.find("abcd", 4)) << "it ended in text that was searched before";
  EXPECT_FALSE(finder.find("abc", 0));
}

TEST(StopFinder, IgnoresEmptyStops) { EXPECT_FALSE(StopFinder({""}).find("abc", 0)); }

TEST(RunningRequest, EndsAtMaxTokens) {
  Sampling sampling;
  sampling.max_tokens = 2;
  const auto tokens = ids(" one two three four");
  ASSERT_GE(tokens.size(), 3u);
  const FinishedRow row = run(sampling, tokens);
  EXPECT_EQ(row.finish_reason, FinishReason::kLength);
  EXPECT_EQ(row.stop_reason, "");
  EXPECT_EQ(row.token_ids, std::vector<int32_t>(tokens.begin(), tokens.begin() + 2));
  EXPECT_EQ(row.text, tokenizer().decode(row.token_ids));
  EXPECT_EQ(row.prompt_tokens, 3);
  EXPECT_EQ(row.plan_index, 3);
  EXPECT_EQ(row.row, 7);
  EXPECT_EQ(row.sample, 1);
}

TEST(RunningRequest, EndsWithAnEndingTokenAndKeepsIt) {
  const FinishedRow row = run({}, {10, 11, 12, 13}, {12});
  EXPECT_EQ(row.finish_reason, FinishReason::kStop);
  EXPECT_EQ(row.stop_reason, "12");
  EXPECT_EQ(row.token_ids, (std::vector<int32_t>{10, 11, 12}));
}

TEST(RunningRequest, IgnoreEosGoesOnButStopTokensEnd) {
  Sampling sampling;
  sampling.ignore_eos = true;
  sampling.stop_token_ids = {13};
  const FinishedRow row = run(sampling, {10, 12, 13, 14}, {12});
  EXPECT_EQ(row.stop_reason, "13");
  EXPECT_EQ(row.token_ids.size(), 3u);
}

TEST(RunningRequest, TextEndsBeforeTheStopStringThatSpansTokens) {
  Sampling sampling;
  sampling.stop = {"o three"};
  const auto tokens = ids(" one two three four five");
  const FinishedRow row = run(sampling, tokens);
  EXPECT_EQ(row.finish_reason, FinishReason::kStop);
  EXPECT_EQ(row.stop_reason, "o three");
  EXPECT_EQ(row.text, " one tw");
  EXPECT_LT(row.token_ids.size(), tokens.size());
  EXPECT_EQ(tokenizer().decode(row.token_ids), " one two three");
}

TEST(RunningRequest, LooksForStopStringsOnlyBeyondMinTokens) {
  Sampling sampling;
  const auto once = ids(" stop"), tokens = ids(" stop stop stop");
  sampling.min_tokens = static_cast<int32_t>(once.size());
  sampling.stop = {"stop"};
  const FinishedRow row = run(sampling, tokens);
  EXPECT_EQ(row.text, " stop ");
}

TEST(RunningRequest, BrokenUtf8AndNulBecomeReplacementCharacters) {
  Sampling sampling;
  sampling.max_tokens = 3;
  // Three bytes as tokens of their own: a NUL, and the first two of a three-byte character.
  const auto byte = [](const std::string& raw) { return *tokenizer().id_of(raw); };
  const FinishedRow row = run(sampling, {byte("Ā"), byte("â"), byte("Ĥ")});
  EXPECT_EQ(row.text, "\uFFFD\uFFFD");
}

TEST(RunningRequest, TokensWithoutFiniteLogitsAreAnError) {
  const FinishedRow row = run({}, {5, -1});
  EXPECT_EQ(row.finish_reason, FinishReason::kError);
  EXPECT_TRUE(row.token_ids.empty());
  EXPECT_EQ(row.plan_index, -1);
  EXPECT_EQ(row.prompt_tokens, -1);
  EXPECT_NE(row.error.find("not finite"), std::string::npos);
}

TEST(RunningRequest, KeepsLogprobsAsAskedFor) {
  Sampling sampling;
  sampling.max_tokens = 1;
  sampling.logprobs = 2;
  RunningRequest request(request_with(sampling), nullptr, {});
  const std::vector<int32_t> top{4, 9};
  const std::vector<float> logprobs{-0.1f, -2.5f};
  ASSERT_TRUE(request.push({9, -2.5f, top, logprobs}));
  const FinishedRow row = request.finish(0);
  EXPECT_EQ(row.logprobs, std::vector<float>{-2.5f});
  EXPECT_EQ(row.top_token_ids, top);
  EXPECT_EQ(row.top_logprobs, logprobs);
  EXPECT_EQ(row.text, "") << "there is no tokenizer";
}

}  // namespace
}  // namespace llmpq
