// The problem file: round trips, classes, null kernels, and the sentence for everything wrong.
#include "plan/problem_json.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "plan/evaluate.hpp"
#include "plan_fixture.hpp"
#include "problem_case.hpp"

namespace llmpq {
namespace {

/// A good problem file in which one text is replaced by another.
std::string file_with(const std::string& from, const std::string& to) {
  std::string text = R"({"format": "llmpq-problem-1", "name": "two", "layers": 2,
    "formats": ["w8", "w4"], "layer_bytes": [20, 10], "omega": [[0, 0.5], [0, 0.25]],
    "theta": 2, "max_omega": null, "prefill_tokens": [64, 128], "decode_sequences": [8],
    "kinds": [{"name": "A", "prefill_s": [[1, 2], [1.5, null]], "decode_s": [[0.1], [0.05]],
      "embed_prefill_s": [0.125, 0.25], "head_prefill_s": [0.5, 0.75], "embed_decode_s": [0.01],
      "head_decode_s": [0.02]}],
    "groups": [{"name": "G", "kind": 0, "ranks": [3, 4], "memory_bytes": 100}],
    "links": {"latency_s": [[0.001]], "s_per_byte": [[1e-9]], "activation_bytes_per_token": 16,
      "in_sum": true},
    "batchings": [{"mix": "interleaved", "prefill": 0, "decode": 0, "in_flight": 2,
      "prefill_sum": 1, "prefill_max": 5, "decode_sum": 1, "decode_max": 0, "rounds": 7,
      "kv_bytes_per_layer": 3, "workspace_bytes": 4, "first_bytes": 5, "last_bytes": 6,
      "shared_bytes": 1, "chunk_rounds": 2.5}], "order": null})";
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(ProblemJson, AFileIsReadAsItStands) {
  const Problem problem = parse_problem(file_with("", ""), "p.json");
  EXPECT_EQ(problem.name, "two");
  EXPECT_EQ(problem.layer_bytes, (std::vector<std::vector<double>>{{20, 10}}));
  EXPECT_EQ(problem.omega[1][1], 0.25);
  EXPECT_FALSE(problem.max_omega);
  EXPECT_TRUE(std::isnan(problem.kinds[0].prefill_s[0][1][1]));
  EXPECT_EQ(problem.kinds[0].head_prefill_s, (std::vector<double>{0.5, 0.75}));
  EXPECT_EQ(problem.groups[0].ranks, (std::vector<int>{3, 4}));
  EXPECT_TRUE(problem.links.in_sum);
  EXPECT_EQ(problem.batchings[0].mix, Mix::kInterleaved);
  EXPECT_EQ(problem.batchings[0].chunk_rounds, 2.5);
  EXPECT_EQ(problem.batchings[0].kv_bytes_per_layer, (std::vector<double>{3}));
  EXPECT_TRUE(problem.order.empty());
  // One stage: bytes 4 + 5 + 6 - 1 + 2 x (20 + 3), seconds 0.125 + 2 + 0.5 and 0.03 + 0.2;
  // load = 5 x 2.625 + 14 x 0.23, queue = 2.5 x 2.625 + 4.5 x 0.23 is shorter.
  const Score score = evaluate(problem, {0, {{3, 0, 2, {0, 0}}}});
  EXPECT_DOUBLE_EQ(score.stages[0].bytes, 60);
  EXPECT_DOUBLE_EQ(score.time_s, 2.625 + 0.23 + 5 * 2.625 + 14 * 0.23);
}

TEST(ProblemJson, WhatIsWrittenIsReadBackExactly) {
  int classes = 0, nulls = 0, orders = 0;
  for (int seed = 0; seed < 200; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(seed)).make();
    const std::string text = to_json(problem);
    EXPECT_EQ(to_json(parse_problem(text, "p.json")), text) << "seed " << seed;
    classes += !problem.layer_class.empty();
    nulls += text.find("null,") != std::string::npos;
    orders += !problem.order.empty();
  }
  EXPECT_GT(std::min({classes, nulls, orders}), 10);
}

TEST(ProblemJson, OptionalKeysMayBeMissing) {
  EXPECT_EQ(parse_problem(file_with("\"mix\": \"interleaved\", ", ""), "p").batchings[0].mix,
            Mix::kSeparated);
  EXPECT_EQ(parse_problem(file_with(", \"chunk_rounds\": 2.5", ""), "p").batchings[0].chunk_rounds,
            0);
  EXPECT_EQ(parse_problem(file_with("\"order\": null", "\"note\": \"of another tool\""), "p").name,
            "two");
  EXPECT_EQ(*parse_problem(file_with("\"max_omega\": null", "\"max_omega\": 3"), "p").max_omega, 3);
}

struct Broken {
  const char *from, *to, *sentence;
};

TEST(ProblemJson, EveryMistakeHasItsSentence) {
  const Broken cases[] = {
      {"llmpq-problem-1", "llmpq-plan-1", "p.json: format: want \"llmpq-problem-1\""},
      {"\"layers\": 2", "\"layers\": 0", "layers: want a whole number from 1"},
      {"\"layers\": 2", "\"layers\": 3", "omega has 2 entries, want 3: one for each of the layers"},
      {"\"layers\": 2", "\"layers\": 1e9", "layers: want a whole number from 1"},
      {"\"layers\": 2", "\"layers\": 100000", "layers: want a whole number from 1 to 2048"},
      {"[\"w8\", \"w4\"]", "[\"w8\", \"w8\"]", "formats has a name twice"},
      {"[\"w8\", \"w4\"]", "[\"w8\"]", "layer_bytes has 2 entries, want 1"},
      {"[\"w8\", \"w4\"]", "[]", "formats: want 1 to 64 names, found 0"},
      {"[\"w8\", \"w4\"]", "[8, 4]", "formats: want a list of names, found 8"},
      {"[20, 10]", "[20, -10]", "layer_bytes: want a number of 0 or more, found -10"},
      {"[20, 10]", "[20, NaN]", "p.json: not JSON"},
      {"[20, 10]", "[20, null]", "layer_bytes: want a number of 0 or more, found null"},
      {"[20, 10]", "[20, 1e999]", "p.json: not JSON"},
      {"[0, 0.25]", "[0]", "omega has 1 entries, want 2: one for each of the formats"},
      {"[0, 0.25]", "7", "omega: want a list, found 7"},
      {"\"theta\": 2, ", "", "theta is missing"},
      {"\"theta\": 2", "\"theta\": -2", "theta: want a number of 0 or more, found -2"},
      {"[1.5, null]", "[1.5]", "kinds: A: prefill_s has 1 entries, want 2"},
      {"[1.5, null]", "[1.5, \"x\"]", "kinds[0].prefill_s: want a number of 0 or more, or null"},
      {"[[0.1], [0.05]]", "[[0.1]]", "kinds: A: decode_s has 1 entries, want 2"},
      {"\"decode_s\": [[0.1], [0.05]],", "", "kinds[0].decode_s is missing"},
      {"[0.125, 0.25]", "[0.125, null]", "embed_prefill_s: want a number of 0 or more, found null"},
      {"\"kind\": 0", "\"kind\": 1", "groups: G: kind: want an index from 0 to 0, found 1"},
      {"[3, 4]", "[3, 3]", "groups: G: rank 3 stands in the groups twice"},
      {"[3, 4]", "[]", "groups: G: ranks is empty"},
      {"[3, 4]", "[3, -4]", "groups[0].ranks: want a whole number from 0"},
      {"[3, 4]", "[3, 4.5]", "groups[0].ranks: want a whole number from 0"},
      {"\"memory_bytes\": 100", "\"memory_bytes\": -1", "memory_bytes: want a number of 0 or more"},
      {"\"groups\": [{", "\"groups\": [3, {", "groups[0]: want an object"},
      {"[[0.001]]", "[[0.001, 0.1]]", "links.latency_s has 2 entries, want 1"},
      {"[[1e-9]]", "[]", "links.s_per_byte has 0 entries, want 1: one for each of the groups"},
      {"\"in_sum\": true", "\"in_sum\": \"yes\"", "links.in_sum: want true or false"},
      {"\"interleaved\"", "\"both\"",
       "batchings[0].mix: want separated, interleaved or mixed, found \"both\""},
      {"\"decode\": 0", "\"decode\": 1", "batchings[0].decode: want an index from 0 to 0, found 1"},
      {"\"rounds\": 7", "\"rounds\": -7", "batchings[0].rounds: want a number of 0 or more"},
      {"\"rounds\": 7,", "", "batchings[0].rounds is missing"},
      {"\"shared_bytes\"", "\"shared_byte\"",
       "batchings[0].shared_byte is no key of this file; did you mean shared_bytes?"},
      {"\"kv_bytes_per_layer\": 3", "\"kv_bytes_per_layer\": [3]", "kv_bytes_per_layer: want"},
      {"\"order\": null", "\"order\": [3, 3]", "order: rank 3 stands there twice"},
      {"\"order\": null", "\"order\": [5]", "order: rank 5 is in no group"},
      {"\"order\": null", "\"layer_class\": [0, 0]", "layer_bytes: want a list, found 20"},
      {"\"order\": null}", "\"order\": null", "p.json: not JSON"},
  };
  for (const Broken& broken : cases) {
    const std::string text = file_with(broken.from, broken.to);
    EXPECT_HAS(error_of(Exit::kUsage, [&] { parse_problem(text, "p.json"); }), broken.sentence);
  }
}

TEST(ProblemJson, ClassesAreCheckedToo) {
  Problem problem = parse_problem(file_with("", ""), "p");
  const auto broken = [&] { return error_of(Exit::kUsage, [&] { check_problem(problem, "p"); }); };
  problem.layer_class = {0, 2};
  EXPECT_HAS(broken(), "layer_class: want an index from 0 to 0, found 2");
  problem.layer_class = {0};
  EXPECT_HAS(broken(), "layer_class has 1 entries, want 2");
  problem.layer_class = {0, 1};
  problem.layer_bytes.push_back({5, 5});
  EXPECT_HAS(broken(), "prefill_s has 1 entries, want 2: one for each of the classes");
  problem.batchings.clear();
  EXPECT_HAS(broken(), "batchings is empty: there is no way to cut the work");
}

}  // namespace
}  // namespace llmpq
