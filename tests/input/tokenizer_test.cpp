// The tokenizer against Hugging Face `tokenizers`: make_tokenizer_fixtures.py stored what that
// gives. LLMPQ_TOKENIZER_FIXTURES names another folder of the same form, for long comparisons.
#include "input/tokenizer.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/utf8.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

using Ids = std::vector<int32_t>;

std::filesystem::path folder() {
  const char* other = std::getenv("LLMPQ_TOKENIZER_FIXTURES");
  return other ? other : LLMPQ_TEST_DATA "/input/fixtures/tokenizers";
}

std::filesystem::path tokenizer_file(const std::string& name) {
  return name == "tiny" ? LLMPQ_DATA "/tiny/tokenizer.json" : folder() / (name + ".json");
}

std::vector<nlohmann::json> lines_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

/// One stored case: what `tokenizers` gives.
struct Case {
  std::optional<std::string> text;  ///< none: decoding only
  Ids ids;
  Ids bare;
  std::string decoded;
  std::string kept;
};

std::vector<Case> cases_of(const std::string& name) {
  static const std::vector<nlohmann::json> texts = lines_of(folder() / "texts.jsonl");
  std::vector<Case> cases;
  for (const auto& line : lines_of(folder() / (name + ".jsonl"))) {
    Case one;
    const size_t i = cases.size();
    if (i < texts.size()) one.text = texts[i].get<std::string>();
    one.ids = line["ids"].get<Ids>();
    one.bare = line.contains("bare") ? line["bare"].get<Ids>() : one.ids;
    const std::string same = one.text.value_or("");
    one.decoded = line.value("text", same);
    one.kept = line.value("kept", same);
    cases.push_back(std::move(one));
  }
  EXPECT_GT(cases.size(), texts.size());
  return cases;
}

/// The texts of an incremental decoder, each checked to be whole characters, joined.
std::string incrementally(const Tokenizer& tokenizer, const Ids& ids, bool skip_special) {
  IncrementalDecoder decoder(tokenizer, skip_special);
  std::string all;
  for (const int32_t id : ids) {
    const std::string piece = decoder.push(id);
    EXPECT_FALSE(first_invalid_byte(piece)) << piece;
    all += piece;
  }
  return all + decoder.finish();
}

class Fixture : public testing::TestWithParam<const char*> {
 protected:
  Tokenizer tokenizer_ = Tokenizer::load(tokenizer_file(GetParam()));
  std::vector<Case> cases_ = cases_of(GetParam());
};

TEST_P(Fixture, EncodesAsTokenizers) {
  int texts = 0;
  int wrong = 0;
  for (const Case& one : cases_) {
    if (!one.text) continue;
    ++texts;
    const Ids ids = tokenizer_.encode(*one.text);
    if (ids != one.ids || tokenizer_.encode(*one.text, false) != one.bare) {
      if (++wrong <= 5) {
        ADD_FAILURE() << nlohmann::json(*one.text).dump(-1, ' ', true) << "\n  wanted "
                      << nlohmann::json(one.ids) << "\n  got    " << nlohmann::json(ids);
      }
    }
  }
  EXPECT_EQ(wrong, 0) << "of " << texts;
  EXPECT_GT(texts, 300);
}

TEST_P(Fixture, DecodesAsTokenizers) {
  for (const Case& one : cases_) {
    EXPECT_EQ(tokenizer_.decode(one.ids), one.decoded) << nlohmann::json(one.ids);
    EXPECT_EQ(tokenizer_.decode(one.ids, false), one.kept) << nlohmann::json(one.ids);
    if (HasFailure()) return;
  }
}

TEST_P(Fixture, DecodesIncrementallyTheSame) {
  for (const Case& one : cases_) {
    EXPECT_EQ(incrementally(tokenizer_, one.ids, true), one.decoded) << nlohmann::json(one.ids);
    EXPECT_EQ(incrementally(tokenizer_, one.ids, false), one.kept) << nlohmann::json(one.ids);
    // Broken off anywhere, the sequence so far is what counts.
    for (size_t count = 0; count < std::min<size_t>(one.ids.size(), 24); ++count) {
      const Ids begun(one.ids.begin(), one.ids.begin() + static_cast<ptrdiff_t>(count));
      EXPECT_EQ(incrementally(tokenizer_, begun, true), tokenizer_.decode(begun));
    }
    if (HasFailure()) return;
  }
}

TEST_P(Fixture, SeveralThreadsEncodeTheSame) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (const Case& one : cases_) {
        if (one.text && tokenizer_.encode(*one.text) != one.ids) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(Fixture, TokensAndIdsAgree) {
  int known = 0;
  for (int32_t id = 0; id < tokenizer_.vocab_size(); ++id) {
    const std::string token = tokenizer_.token(id);
    if (token.empty()) continue;
    EXPECT_EQ(tokenizer_.id_of(token), id) << token;
    ++known;
  }
  EXPECT_GE(known, 300);
  EXPECT_NE(tokenizer_.token(tokenizer_.vocab_size() - 1), "");
  EXPECT_EQ(tokenizer_.token(tokenizer_.vocab_size()), "");
  EXPECT_EQ(tokenizer_.token(-1), "");
  EXPECT_FALSE(tokenizer_.id_of("no such token"));
}

INSTANTIATE_TEST_SUITE_P(All, Fixture,
                         testing::Values("gpt2", "llama3", "qwen2", "llama2", "mistral", "gappy",
                                         "added", "o200k", "deepseek", "bloom", "falcon", "gemma",
                                         "normal", "splits", "t5", "unigram", "tiny"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Tokenizer, KnowsSpecialTokens) {
  const Tokenizer tokenizer = Tokenizer::load(tokenizer_file("llama3"));
  const int32_t bos = tokenizer.id_of("<|begin_of_text|>").value();
  EXPECT_TRUE(tokenizer.is_special(bos));
  EXPECT_FALSE(tokenizer.is_special(0));
  EXPECT_FALSE(tokenizer.is_special(-1));
  EXPECT_EQ(tokenizer.encode("")[0], bos);
  EXPECT_TRUE(tokenizer.encode("", false).empty());
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("as it is")), "as it is");
}

TEST(Tokenizer, NamesTheByteThatIsNotUtf8) {
  const Tokenizer tokenizer = Tokenizer::load(tokenizer_file("gpt2"));
  const std::pair<const char*, size_t> broken[] = {
      {"\x80", 0},          {"abc\xFFxyz", 3},          {"\xC3", 0},       {"\xC3\xA9\xC3(", 2},
      {"a\xED\xA0\x80", 1}, {"\xF4\x90\x80\x80", 0},    {"ab\xC0\x80", 2}, {"\xF0\x9F\x98", 0},
      {"\xE2\x82", 0},      {"\xF8\x88\x80\x80\x80", 0}};
  for (const auto& [text, offset] : broken) {
    try {
      tokenizer.encode(text);
      ADD_FAILURE() << "accepted " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::kPrompts);
      const std::string place = "byte " + std::to_string(offset) + " of ";
      EXPECT_NE(std::string(error.what()).find(place), std::string::npos) << error.what();
    }
  }
}

TEST(Tokenizer, OutlivesTheOneItWasCopiedFrom) {
  std::optional<Tokenizer> first = Tokenizer::load(tokenizer_file("llama2"));
  IncrementalDecoder decoder(*first);
  const Tokenizer copy = *first;
  const Ids ids = first->encode("It works");
  first.reset();
  std::string text;
  for (const int32_t id : ids) text += decoder.push(id);
  EXPECT_EQ(text + decoder.finish(), "It works");
  EXPECT_EQ(copy.encode("It works"), ids);
}

}  // namespace
}  // namespace llmpq
