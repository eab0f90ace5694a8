// The time of encoding and decoding grows with the length, not with its square. Eight times the
// text may take 24 times as long here; a quadratic step would take 64 times.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>

#include "input/tokenizer.hpp"

namespace llmpq {
namespace {

constexpr size_t kShort = 1 << 15;
constexpr size_t kTimesLonger = 8;
constexpr double kMostTimesSlower = 24;

Tokenizer fixture(const std::string& name) {
  return Tokenizer::load(LLMPQ_TEST_DATA "/input/fixtures/tokenizers/" + name + ".json");
}

template <typename Work>
double best_seconds(Work work) {
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    const std::clock_t start = std::clock();
    work();
    best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  return best;
}

std::string repeated(std::string_view unit, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += unit;
  return text;
}

struct Run {
  const char* tokenizer;
  const char* unit;
};

class LongRuns : public testing::TestWithParam<Run> {};

TEST_P(LongRuns, AreEncodedAndDecodedInLinearTime) {
  const Tokenizer tokenizer = fixture(GetParam().tokenizer);
  std::vector<int32_t> ids;
  const auto seconds = [&](size_t bytes) {
    const std::string text = repeated(GetParam().unit, bytes);
    return best_seconds([&] {
      ids = tokenizer.encode(text);
      EXPECT_FALSE(tokenizer.decode(ids, false).empty());
    });
  };
  const double once = seconds(kShort);
  const double longer = seconds(kShort * kTimesLonger);
  EXPECT_LT(longer, once * kMostTimesSlower) << once << " s, then " << longer << " s";
  EXPECT_GT(ids.size(), 1000u);
}

INSTANTIATE_TEST_SUITE_P(
    All, LongRuns,
    testing::Values(Run{"gpt2", "a"}, Run{"gpt2", " "}, Run{"gpt2", "the cat. "},
                    Run{"llama3", "a"}, Run{"llama3", " "}, Run{"llama3", "\n"}, Run{"llama3", "!"},
                    Run{"llama3", "ab"}, Run{"llama3", "<|eot_id|>"},
                    Run{"llama3", "\xF0\x9F\x98\x80"}, Run{"qwen2", "1"},
                    Run{"qwen2", "\xCC\x81\xCC\xA3"},  // marks out of order
                    Run{"llama2", "a"}, Run{"llama2", " "}, Run{"llama2", "\xF0\x9F\x98\x80"},
                    Run{"mistral", "the "}, Run{"added", "TOK1 "}, Run{"added", "  "},
                    Run{"o200k", "aB"}, Run{"deepseek", "-"}),
    [](const auto& info) {
      return std::string(info.param.tokenizer) + "_" + std::to_string(info.index);
    });

TEST(IncrementalDecoder, TakesConstantTimePerToken) {
  for (const char* name : {"llama3", "llama2"}) {
    const Tokenizer tokenizer = fixture(name);
    const auto seconds = [&](size_t bytes) {
      const auto ids = tokenizer.encode(repeated("some words \xF0\x9F\x98\x80 ", bytes));
      return best_seconds([&] {
        IncrementalDecoder decoder(tokenizer);
        size_t length = 0;
        for (const int32_t id : ids) length += decoder.push(id).size();
        length += decoder.finish().size();
        EXPECT_GE(length, bytes);
      });
    };
    EXPECT_LT(seconds(kShort * kTimesLonger), seconds(kShort) * kMostTimesSlower) << name;
  }
}

TEST(IncrementalDecoder, GivesCharactersAsSoonAsTheyAreWhole) {
  const Tokenizer tokenizer = fixture("llama3");
  IncrementalDecoder decoder(tokenizer);
  std::string text;
  size_t pushes_with_text = 0;
  for (const int32_t id : tokenizer.encode("a\xF0\x9F\x98\x80z", false)) {
    const std::string piece = decoder.push(id);
    pushes_with_text += !piece.empty();
    text += piece;
  }
  EXPECT_EQ(text, "a\xF0\x9F\x98\x80z");
  EXPECT_EQ(pushes_with_text, 3u);
  EXPECT_EQ(decoder.finish(), "");
}

}  // namespace
}  // namespace llmpq
