// A tokenizer.json that is broken or asks for what is not supported: each with its sentence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/expect_error.hpp"
#include "base/temp_folder.hpp"
#include "input/tokenizer.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Json = nlohmann::json;

/// A whole tokenizer with a value in every place.
Json sound() {
  return Json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 4, "content": "<s>", "single_word": false, "lstrip": false,
                      "rstrip": false, "normalized": false, "special": true}],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
    "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Isolated",
                      "invert": false},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]}}},
    "decoder": {"type": "Fuse"},
    "model": {"type": "BPE", "dropout": null, "unk_token": null,
              "vocab": {"a": 0, "b": 1, "ab": 2, "c": 3}, "merges": [["a", "b"]]}})");
}

std::string complaint(const std::string& text) {
  try {
    Tokenizer::parse(text, "tokenizer.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kModel);
    EXPECT_THAT(error.what(), StartsWith("tokenizer.json: "));
    return error.what();
  }
  return "accepted";
}

/// The complaint about the sound tokenizer with one value replaced (or, by null, taken out).
std::string with(const char* pointer, const Json& value) {
  Json json = sound();
  json[Json::json_pointer(pointer)] = value;
  return complaint(json.dump());
}

TEST(TokenizerErrors, TheSoundOneWorks) {
  const Tokenizer tokenizer = Tokenizer::parse(sound().dump(), "tokenizer.json");
  EXPECT_EQ(tokenizer.encode("abc<s>a"), (std::vector<int32_t>{4, 2, 3, 4, 0}));
  EXPECT_EQ(tokenizer.vocab_size(), 5);
}

TEST(TokenizerErrors, Model) {
  EXPECT_THAT(with("/model", nullptr), HasSubstr("`model` is missing"));
  EXPECT_THAT(with("/model", 7), HasSubstr("model: want an object, found number"));
  EXPECT_THAT(with("/model/type", "WordPiece"),
              HasSubstr("model.type: `WordPiece` is not supported"));
  EXPECT_THAT(with("/model/vocab", nullptr), HasSubstr("model: `vocab` is missing"));
  EXPECT_THAT(with("/model/vocab/a", -1), HasSubstr("model.vocab.a: want a number from 0"));
  EXPECT_THAT(with("/model/vocab/a", 1 << 25), HasSubstr("found 33554432"));
  EXPECT_THAT(with("/model/vocab/a", UINT64_MAX), HasSubstr("found 18446744073709551615"));
  EXPECT_THAT(with("/model/vocab/a", 1.5), HasSubstr("model.vocab.a: want a whole number"));
  EXPECT_THAT(with("/model/vocab/a", 3), HasSubstr("have the same id 3"));
  EXPECT_THAT(with("/model/merges", Json::array({"a b c"})),
              HasSubstr("model.merges[0]: want two"));
  EXPECT_THAT(with("/model/merges", Json::array({"ab"})), HasSubstr("model.merges[0]: want two"));
  EXPECT_THAT(with("/model/merges", {{"a", "b", "c"}}), HasSubstr("want two tokens, found 3"));
  EXPECT_THAT(with("/model/merges", Json::array({"a z"})),
              HasSubstr("merge 0 needs the token `z`"));
  EXPECT_THAT(with("/model/dropout", 0.1), HasSubstr("model.dropout: want null or 0"));
  EXPECT_THAT(with("/model/byte_fallback", 1), HasSubstr("byte_fallback: want true or false"));
  EXPECT_EQ(with("/model/dropout", 0.0), "accepted");
  EXPECT_EQ(with("/model/merges", Json::array({"#version: 0.2", "a b"})), "accepted");
}

TEST(TokenizerErrors, AddedTokens) {
  EXPECT_THAT(with("/added_tokens/0/id", 7), HasSubstr("`<s>` has id 7 there, but its place"));
  EXPECT_THAT(with("/added_tokens/0/content", "a"), HasSubstr("`a` has id 4 there"));
  EXPECT_THAT(with("/added_tokens/0/lstrip", nullptr),
              HasSubstr("added_tokens[0]: `lstrip` is missing"));
  EXPECT_THAT(with("/added_tokens", "x"), HasSubstr("added_tokens: want a list, found string"));
  Json json = sound();
  json["normalizer"] = {{"type", "Lowercase"}};
  json["added_tokens"][0].update({{"content", "X"}, {"normalized", true}});
  Json second = json["added_tokens"][0];
  second.update({{"content", "x"}, {"id", 5}});
  json["added_tokens"].push_back(second);
  EXPECT_THAT(complaint(json.dump()), HasSubstr("when normalized, which is empty or taken"));
}

TEST(TokenizerErrors, AddedTokenOnAnIdThatIsTaken) {
  Json json = sound();  // with a hole at 3, so that the id after the four tokens is taken
  json["model"]["vocab"] = {{"a", 0}, {"b", 1}, {"ab", 2}, {"c", 4}};
  EXPECT_THAT(complaint(json.dump()), HasSubstr("`<s>` has id 4, which is `c` in the vocabulary"));
}

TEST(TokenizerErrors, Steps) {
  EXPECT_THAT(with("/normalizer", {{"type", "BertNormalizer"}}),
              HasSubstr("normalizer: `BertNormalizer` is not supported; supported are NFC"));
  EXPECT_THAT(with("/normalizer/normalizers/0/type", "Nmt"),
              HasSubstr("normalizer.normalizers[0]: `Nmt` is not supported"));
  EXPECT_THAT(with("/normalizer/normalizers", nullptr), HasSubstr("`normalizers` is missing"));
  EXPECT_THAT(with("/pre_tokenizer/type", "UnicodeScripts"), HasSubstr("`UnicodeScripts` is not"));
  EXPECT_THAT(with("/pre_tokenizer/behavior", "Mixed"), HasSubstr("`Mixed` is not supported"));
  EXPECT_THAT(with("/pre_tokenizer/pattern/Regex", "(a"),
              HasSubstr("pre_tokenizer.pattern.Regex: not a regular expression"));
  EXPECT_THAT(with("/pre_tokenizer/pattern", {{"Glob", "*"}}), HasSubstr("`Regex` is missing"));
  EXPECT_THAT(with("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "xy"}}),
              HasSubstr("pre_tokenizer.replacement: want one character, found `xy`"));
  EXPECT_THAT(with("/pre_tokenizer",
                   {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}}),
              HasSubstr("prepend_scheme: `last` is not supported"));
  EXPECT_THAT(with("/decoder/type", "CTC"), HasSubstr("decoder: `CTC` is not supported"));
  EXPECT_THAT(with("/decoder", {{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}}),
              HasSubstr("decoder.start: want a number from 0"));
  EXPECT_THAT(with("/version", "2.0"), HasSubstr("version: `2.0` is not supported"));
}

TEST(TokenizerErrors, PostProcessor) {
  EXPECT_THAT(with("/post_processor/special_tokens", Json::object()),
              HasSubstr("special_tokens: `<s>` is missing"));
  EXPECT_THAT(with("/post_processor/special_tokens/<s>/ids/0", 9),
              HasSubstr("post_processor: adds the id 9, which no token has"));
  EXPECT_THAT(with("/post_processor/single/1/Sequence/id", "B"), HasSubstr("`B` is not supported"));
  const Json twice = {{"type", "Sequence"},
                      {"processors", {sound()["post_processor"], sound()["post_processor"]}}};
  EXPECT_THAT(with("/post_processor", twice), HasSubstr("only one processor may add tokens"));
  EXPECT_THAT(with("/post_processor/type", "Other"), HasSubstr("post_processor: `Other` is not"));
}

TEST(TokenizerErrors, NotJsonAtAll) {
  EXPECT_THAT(complaint(""), HasSubstr("not JSON"));
  EXPECT_THAT(complaint("{\"model\": "), HasSubstr("not JSON"));
  EXPECT_THAT(complaint("{\"version\": \"\xFF\"}"), HasSubstr("not JSON"));
  EXPECT_THAT(complaint("[]"), HasSubstr("want an object, found array"));
  EXPECT_THAT(complaint(R"({"model": {"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []}})"),
              HasSubstr("'a' stands there twice"));
}

TEST(TokenizerErrors, DeepNestingIsRefused) {
  std::string brackets(1 << 20, '[');
  EXPECT_THAT(complaint(brackets), HasSubstr("nested deeper"));
  Json nested = {{"type", "NFC"}};
  for (int i = 0; i < 40; ++i) {
    nested = {{"type", "Sequence"}, {"normalizers", Json::array({nested})}};
  }
  EXPECT_THAT(with("/normalizer", nested), HasSubstr("sequences nest deeper than 16"));
}

TEST(TokenizerErrors, FileThatIsNotThere) {
  try {
    Tokenizer::load("/nowhere/tokenizer.json");
    ADD_FAILURE() << "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kModel);
    EXPECT_THAT(error.what(), HasSubstr("/nowhere/tokenizer.json"));
  }
}

TEST(TokenizerErrors, FileThatGitHasNotFetched) {
  const TempFolder folder;
  std::ofstream(folder / "tokenizer.json")
      << "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
  EXPECT_ERROR(Tokenizer::load(folder / "tokenizer.json"), Exit::kModel,
               "tokenizer.json: a git-lfs pointer, not the file itself");
}

}  // namespace
}  // namespace llmpq
