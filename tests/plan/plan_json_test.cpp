// The plan file: round trips, what may be missing, and the sentence for everything that is wrong.
#include "plan/plan_json.hpp"

#include <gtest/gtest.h>

#include "plan_fixture.hpp"

namespace llmpq {
namespace {

Plan two_stages() {
  Plan plan;
  plan.model = "tiny \"x\"";
  plan.mix = Mix::kMixed;
  plan.prefill_tokens = 128;
  plan.decode_batch = 16;
  plan.lanes = 3;
  plan.kv_block_tokens = 8;
  plan.kv_blocks = 900;
  plan.head_format = Format::kW8;
  StagePlan first{{2}, 0, 2, {Format::kBf16, Format::kW4}, 0.125, 1e-3, 1234567890123};
  StagePlan second{{0}, 2, 3, {Format::kW3}, std::nullopt, std::nullopt, 0};
  plan.pipelines.push_back({true, true, {first, second}});
  return plan;
}

/// A good plan file in which one text is replaced by another.
std::string file_with(const std::string& from, const std::string& to) {
  std::string text = R"({"format": "llmpq-plan-1", "model": "tiny", "mix": "interleaved",
    "prefill_tokens": 64, "decode_batch": 4, "lanes": 2, "kv_block_tokens": 16, "kv_blocks": 50,
    "head_format": "bf16", "pipelines": [{"phases": ["prefill", "decode"], "stages": [
      {"ranks": [0], "layers": [0, 2], "formats": ["w8", "w4"]},
      {"ranks": [1], "layers": [2, 3], "formats": ["f16"], "prefill_s": 1.5, "bytes": 7}]}],
    "problem": null, "time_s": 3.5, "lower_bound": null, "batching": 2})";
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(PlanJson, WhatIsWrittenIsReadBack) {
  const Plan plan = two_stages();
  const std::string text = to_json(plan);
  const Plan back = parse_plan(text, "p.json");
  EXPECT_EQ(to_json(back), text);
  EXPECT_EQ(back.model, plan.model);
  EXPECT_EQ(back.mix, plan.mix);
  EXPECT_EQ(back.prefill_tokens, 128);
  EXPECT_EQ(back.decode_batch, 16);
  EXPECT_EQ(back.lanes, 3);
  EXPECT_EQ(back.kv_block_tokens, 8);
  EXPECT_EQ(back.kv_blocks, 900);
  EXPECT_EQ(back.head_format, Format::kW8);
  EXPECT_EQ(back.layers, 3);
  ASSERT_EQ(back.pipelines.size(), 1u);
  const auto& stages = back.pipelines[0].stages;
  ASSERT_EQ(stages.size(), 2u);
  EXPECT_EQ(stages[0].ranks, std::vector<int>{2});
  EXPECT_EQ(stages[0].layer_end, 2);
  EXPECT_EQ(stages[0].formats, (std::vector<Format>{Format::kBf16, Format::kW4}));
  EXPECT_EQ(stages[0].prefill_s, 0.125);
  EXPECT_EQ(stages[0].bytes, 1234567890123);
  EXPECT_FALSE(stages[1].decode_s);
  EXPECT_EQ(layer_formats(back), (std::vector<Format>{Format::kBf16, Format::kW4, Format::kW3}));
}

TEST(PlanJson, SizesAndComputedFieldsMayBeMissing) {
  const Plan plan = parse_plan(R"({"format":"llmpq-plan-1","model":null,"lanes":null,
    "pipelines":[{"stages":[{"ranks":[0],"layers":[0,1],"formats":["w3"]}]}]})",
                               "p.json", Format::kF16);
  EXPECT_EQ(plan.model, "");
  EXPECT_EQ(plan.mix, Mix::kInterleaved);
  EXPECT_EQ(plan.prefill_tokens, 0);
  EXPECT_EQ(plan.decode_batch, 0);
  EXPECT_EQ(plan.lanes, 0);
  EXPECT_EQ(plan.kv_blocks, 0);
  EXPECT_EQ(plan.kv_block_tokens, 16);
  EXPECT_EQ(plan.head_format, Format::kF16);
  EXPECT_TRUE(plan.pipelines[0].prefill && plan.pipelines[0].decode);
  const std::string text = to_json(plan);
  EXPECT_EQ(to_json(parse_plan(text, "again")), text);
}

TEST(PlanJson, FiguresOfASolverAreKept) {
  Plan plan = two_stages();
  plan.figures = {"adabits", "cluster 3", 7,    12.5,  std::nullopt,     0.25,
                  13.75,     13.7,        0.01, 0.004, Quantizer::kGptq, 13.72};
  const std::string text = to_json(plan);
  const PlanFigures back = parse_plan(text, "p.json").figures;
  EXPECT_EQ(back.strategy, "adabits");
  EXPECT_EQ(back.problem, "cluster 3");
  EXPECT_EQ(back.batching, 7);
  EXPECT_EQ(back.time_s, 12.5);
  EXPECT_FALSE(back.simulated_s);
  EXPECT_EQ(back.omega, 0.25);
  EXPECT_EQ(back.objective, 13.75);
  EXPECT_EQ(back.lower_bound, 13.7);
  EXPECT_EQ(back.solve_s, 0.01);
  EXPECT_EQ(back.perplexity_increase, 0.004);
  EXPECT_EQ(back.perplexity_quantizer, Quantizer::kGptq);
  EXPECT_EQ(back.best_objective, 13.72);
  EXPECT_HAS(text, "\"simulated_s\": null");
}

struct Broken {
  const char *from, *to, *sentence;
};

TEST(PlanJson, EveryMistakeHasItsSentence) {
  const Broken cases[] = {
      {"\"llmpq-plan-1\"", "\"llmpq-plan-9\"",
       "p.json: format: want \"llmpq-plan-1\", found \"llmpq-plan-9\""},
      {"\"format\": \"llmpq-plan-1\", ", "", "p.json: format is missing, want \"llmpq-plan-1\""},
      {"\"lanes\"", "\"lane\"", "p.json: unknown key 'lane'; did you mean 'lanes'?"},
      {"\"lanes\"", "\"zzzzzzzzzzzzzzzzz\"",
       "p.json: unknown key 'zzzzzzzzzzzzzzzzz'; want one of format, model, mix"},
      {"\"phases\"", "\"phase\"", "unknown key 'pipelines[0].phase'; did you mean 'phases'?"},
      {"\"prefill_s\"", "\"prefil_s\"",
       "unknown key 'pipelines[0].stages[1].prefil_s'; did you mean 'prefill_s'?"},
      {"\"tiny\"", "5", "p.json: model: want a text, found 5"},
      {"\"interleaved\"", "\"both\"",
       "p.json: mix: want separated, interleaved or mixed, found \"both\""},
      {"\"interleaved\"", "3", "p.json: mix: want separated, interleaved or mixed, found 3"},
      {"64", "0", "p.json: prefill_tokens: want a whole number from 1 to 1048576, found 0"},
      {"64", "-1", "prefill_tokens: want a whole number from 1 to 1048576, found -1"},
      {"64", "6.5", "prefill_tokens: want a whole number from 1 to 1048576, found 6.5"},
      {"64", "18446744073709551615", "found 18446744073709551615"},
      {"64", "1e400", "p.json: not JSON"},
      {"\"lanes\": 2", "\"perplexity_quantizer\": \"awq\"",
       "p.json: perplexity_quantizer: want rtn or gptq, found \"awq\""},
      {"\"lanes\": 2", "\"lanes\": 5000", "lanes: want a whole number from 1 to 4096, found 5000"},
      {"\"lanes\": 2", "\"lanes\": \"2\"",
       "lanes: want a whole number from 1 to 4096, found \"2\""},
      {"50", "3000000000", "kv_blocks: want a whole number from 1 to 2147483647, found 3000000000"},
      {"\"bf16\"", "\"w5\"", "head_format: want one of bf16, f16, w8, w4, w3, found \"w5\""},
      {"[\"prefill\", \"decode\"]", "[\"warmup\"]",
       "pipelines[0].phases: want a list of \"prefill\" and \"decode\", found [\"warmup\"]"},
      {"[\"prefill\", \"decode\"]", "[]", "pipelines[0].phases: want a list of"},
      {"[0]", "[-1]",
       "pipelines[0].stages[0].ranks: want a whole number from 0 to 1048576, found -1"},
      {"[0]", "[]", "pipelines[0].stages[0].ranks: want a list of ranks, found []"},
      {"[0]", "0", "pipelines[0].stages[0].ranks: want a list of ranks, found 0"},
      {"[2, 3]", "[3, 2]",
       "stages[1].layers: want [begin, end], the first layer and the one after the last, found "
       "[3,2]"},
      {"[2, 3]", "[2]", "stages[1].layers: want [begin, end]"},
      {"[2, 3]", "[2, 4000000000]",
       "stages[1].layers: want a whole number from 0 to 100000, found 4000000000"},
      {"[\"f16\"]", "[\"int4\"]",
       "stages[1].formats: want one of bf16, f16, w8, w4, w3, found \"int4\""},
      {"[\"f16\"]", "[\"f16\", \"f16\"]",
       "stages[1].formats: want 1 formats, one for each layer, found [\"f16\",\"f16\"]"},
      {"[\"w8\", \"w4\"]", "\"w8\"",
       "stages[0].formats: want 2 formats, one for each layer, found \"w8\""},
      {", \"formats\": [\"f16\"]", "", "pipelines[0].stages[1].formats is missing"},
      {"1.5", "\"fast\"", "stages[1].prefill_s: want a number, found \"fast\""},
      {"\"bytes\": 7", "\"bytes\": -7", "stages[1].bytes: want a whole number"},
      {"3.5", "[]", "p.json: time_s: want a number, found []"},
      {"\"batching\": 2", "\"batching\": \"a\"", "p.json: batching: want a whole number"},
      {"\"batching\": 2", "\"model\": \"b\"", "p.json: 'model' stands there twice"},
      {"\"batching\": 2}", "\"batching\": 2", "p.json: not JSON"},
  };
  for (const Broken& broken : cases) {
    const std::string text = file_with(broken.from, broken.to);
    EXPECT_HAS(error_of(Exit::kUsage, [&] { parse_plan(text, "p.json"); }), broken.sentence);
  }
}

TEST(PlanJson, WhatIsNoObjectIsRefused) {
  EXPECT_HAS(error_of(Exit::kUsage, [] { parse_plan("[]", "p.json"); }),
             "p.json: want an object, found []");
  EXPECT_HAS(error_of(Exit::kUsage, [] { parse_plan("", "p.json"); }), "p.json: not JSON");
  const char* start = R"({"format":"llmpq-plan-1","pipelines":)";
  EXPECT_HAS(error_of(Exit::kUsage, [&] { parse_plan(start + std::string("[3]}"), "p"); }),
             "p: pipelines[0]: want an object, found 3");
  EXPECT_HAS(error_of(Exit::kUsage, [&] { parse_plan(start + std::string("[]}"), "p"); }),
             "p: pipelines: want a list of pipelines, found []");
  EXPECT_HAS(
      error_of(Exit::kUsage, [&] { parse_plan(start + std::string("[{\"stages\":[]}]}"), "p"); }),
      "p: pipelines[0].stages: want a list of stages, found []");
}

}  // namespace
}  // namespace llmpq
