#include "plan/make_problem.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/expect_error.hpp"
#include "input/cluster.hpp"
#include "input/data_folder.hpp"
#include "plan_fixture.hpp"
#include "profile/roofline.hpp"
#include "profile/sensitivity.hpp"

namespace llmpq {
namespace {

const int kNamed = setenv("LLMPQ_DATA", LLMPQ_DATA, 1);

/// The small model on two A100 and a V100; the A100 are linked better.
struct ThreeGpus {
  PlanCase job;
  PlanRequest request;
  PlanningData data;

  ThreeGpus() : request(job.request({1 << 20, 1 << 20, 1 << 19})) {
    for (RankMemory& rank : request.ranks) rank.backend = BackendKind::kCuda;
    data.name = "three";
    data.profiles = {roofline(*find_gpu("A100-80G"), job.config, request.kv_type),
                     roofline(*find_gpu("V100-32G"), job.config, request.kv_type)};
    data.profile_of = {0, 0, 1};
    data.link = [](int from, int to) {
      return from < 2 && to < 2 ? LinkModel{1e-6, 1e-11} : LinkModel{1e-5, 1e-10};
    };
    data.lengths = {{200, 41, 3000}};
  }
  MadeProblem make() const { return make_problem(request, data); }
};

/// A row in the middle of the list whose decode steps have no chunk in them.
const Batching& separated_row(const Problem& problem) {
  for (size_t i = problem.batchings.size() / 2; i < problem.batchings.size(); ++i)
    if (problem.batchings[i].mix == Mix::kSeparated) return problem.batchings[i];
  ADD_FAILURE() << "no separated row";
  return problem.batchings[0];
}

TEST(MakeProblem, HasTheModelAndTheDevices) {
  const ThreeGpus three;
  const MadeProblem made = three.make();
  const Problem& problem = made.problem;
  EXPECT_EQ(problem.name, "three");
  EXPECT_EQ(problem.layers, 8);
  // A V100 has no bf16, an A100 has f16: one 16-bit format is enough for both.
  EXPECT_EQ(problem.formats, (std::vector<std::string>{"f16", "w8", "w4", "w3"}));
  EXPECT_EQ(made.head_format, Format::kF16);
  ASSERT_EQ(problem.groups.size(), 2u);
  EXPECT_EQ(problem.groups[0].ranks, (std::vector<int>{0, 1}));
  EXPECT_EQ(problem.groups[1].ranks, (std::vector<int>{2}));
  EXPECT_EQ(problem.groups[1].memory_bytes, static_cast<double>(budget_of(three.request.ranks[2])));
  EXPECT_EQ(problem.links.latency_s, (std::vector<std::vector<double>>{{1e-6, 1e-5}, {1e-5, 0}}));
  EXPECT_EQ(problem.links.activation_bytes_per_token, 256 * 4);
  EXPECT_EQ(problem.layer_bytes[0][1],
            static_cast<double>(layer_bytes(three.job.config, Format::kW8, BackendKind::kCuda)));
  EXPECT_TRUE(problem.layer_class.empty());
  EXPECT_EQ(problem.kinds[1].name, "V100-32G (specification)");
}

TEST(MakeProblem, SecondsAreTheLatencyModels) {
  const ThreeGpus three;
  const Problem problem = three.make().problem;
  const LatencyModel& model = three.data.profiles[0].model;
  StepShape chunk;
  chunk.prefill_rows = problem.prefill_tokens[2];
  chunk.prefill_keys = std::llround(static_cast<double>(chunk.prefill_rows) * 100.5);
  EXPECT_DOUBLE_EQ(problem.kinds[0].prefill_s[0][1][2],
                   layer_seconds(model, Format::kW8, chunk).value());
  StepShape step;  // 40 decode rows, which look at 201 to 240 keys
  const size_t column = static_cast<size_t>(separated_row(problem).decode);
  step.decode_rows = problem.decode_sequences[column];
  step.decode_keys = std::llround(static_cast<double>(step.decode_rows) * 220.5);
  EXPECT_DOUBLE_EQ(problem.kinds[0].decode_s[0][1][column],
                   layer_seconds(model, Format::kW8, step).value());
  step.samples = step.decode_rows;
  EXPECT_DOUBLE_EQ(problem.kinds[0].head_decode_s[column],
                   head_seconds(model, Format::kF16, step).value());
  EXPECT_DOUBLE_EQ(problem.kinds[0].embed_decode_s[column], embedding_seconds(model, step));
  // 256 of 200 tokens a prompt: more than one prompt ends with each chunk.
  EXPECT_DOUBLE_EQ(problem.kinds[0].head_prefill_s[2], model.head.at(Format::kF16).at(1.28));
  EXPECT_DOUBLE_EQ(problem.kinds[0].head_prefill_s[0], model.head.at(Format::kF16).at(1) * 0.32);
}

/// The problem's bytes are those that the memory model says of the plan that a row stands for.
TEST(MakeProblem, BytesAreTheMemoryModels) {
  const ThreeGpus three;
  const MadeProblem made = three.make();
  const Problem& problem = made.problem;
  ASSERT_EQ(made.sizes.size(), problem.batchings.size());
  ASSERT_EQ(made.kv_blocks.size(), problem.batchings.size());
  for (size_t i = 0; i < problem.batchings.size(); i += 97) {
    const Batching& row = problem.batchings[i];
    Plan plan;
    plan.mix = made.sizes[i].mix;
    plan.prefill_tokens = made.sizes[i].prefill_tokens;
    plan.decode_batch = made.sizes[i].decode_batch;
    plan.lanes = made.sizes[i].lanes;
    plan.kv_blocks = made.kv_blocks[i];
    plan.head_format = made.head_format;
    plan.pipelines.resize(1);
    plan.pipelines[0].stages = {{{0}, 0, 3, {3, Format::kW4}, {}, {}, 0},
                                {{1}, 3, 4, {Format::kW4}, {}, {}, 0},
                                {{2}, 4, 8, {4, Format::kW4}, {}, {}, 0}};
    const auto stages = predict_memory(three.request, plan);
    const double ends[3] = {row.first_bytes, 0, row.last_bytes};
    const double layers[3] = {3, 1, 4};
    for (size_t s = 0; s < 3; ++s)
      EXPECT_EQ(static_cast<double>(stages[s].total()),
                layers[s] * (problem.layer_bytes[0][2] + row.kv_bytes_per_layer[0]) +
                    row.workspace_bytes + ends[s])
          << "row " << i << " stage " << s;
  }
}

TEST(MakeProblem, KeepsWhatCouldFit) {
  ThreeGpus three;
  const size_t all = three.make().problem.batchings.size();
  for (RankMemory& rank : three.request.ranks) rank.memory_bytes = 24 << 20;
  const size_t some = three.make().problem.batchings.size();
  EXPECT_GT(some, 0u);
  EXPECT_LT(some, all);
  for (RankMemory& rank : three.request.ranks) rank.memory_bytes = 1000;
  EXPECT_EQ(three.make().problem.batchings.size(), 1u);
}

TEST(MakeProblem, WishesNarrowTheChoice) {
  ThreeGpus three;
  three.request.wishes.mix = Mix::kSeparated;
  three.request.wishes.prefill_tokens = 100;
  three.request.wishes.decode_batch = 7;
  three.request.wishes.lanes = 5;
  three.request.wishes.kv_blocks = 999;
  three.request.wishes.head_format = Format::kW8;
  three.request.wishes.formats = {Format::kW4};
  const MadeProblem made = three.make();
  EXPECT_EQ(made.problem.formats, (std::vector<std::string>{"w4"}));
  EXPECT_EQ(made.head_format, Format::kW8);
  ASSERT_EQ(made.sizes.size(), 1u);
  EXPECT_EQ(made.sizes[0], (MicroBatches{Mix::kSeparated, 100, 7, 5}));
  EXPECT_EQ(made.kv_blocks[0], 999);
  EXPECT_EQ(made.problem.prefill_tokens, (std::vector<int64_t>{100}));
}

TEST(MakeProblem, AFormatForEachLayerMakesClasses) {
  ThreeGpus three;
  three.request.wishes.formats.assign(8, Format::kW8);
  three.request.wishes.formats[3] = Format::kW3;
  const Problem problem = three.make().problem;
  EXPECT_EQ(problem.formats, (std::vector<std::string>{"w8", "w3"}));
  EXPECT_EQ(problem.layer_class, (std::vector<int>{0, 0, 0, 1, 0, 0, 0, 0}));
  EXPECT_FALSE(std::isnan(problem.kinds[0].prefill_s[0][0][0]));
  EXPECT_TRUE(std::isnan(problem.kinds[0].prefill_s[0][1][0]));
  EXPECT_TRUE(std::isnan(problem.kinds[0].decode_s[1][0][0]));
  three.request.wishes.formats.pop_back();
  EXPECT_ERROR(three.make(), Exit::kUsage, "format names 7 formats, the model has 8 layers");
}

TEST(MakeProblem, WindowsMakeClasses) {
  ThreeGpus three;
  for (size_t i = 0; i < 8; i += 2) three.job.config.window[i] = 64;
  const Problem problem = three.make().problem;
  EXPECT_EQ(problem.layer_class, (std::vector<int>{0, 1, 0, 1, 0, 1, 0, 1}));
  EXPECT_LT(problem.kinds[0].decode_s[0][0][8], problem.kinds[0].decode_s[1][0][8]);
}

TEST(MakeProblem, WrongInputsAreSentences) {
  ThreeGpus three;
  three.request.wishes.formats = {Format::kBf16};
  three.data.profiles[0] = three.data.profiles[1];
  EXPECT_ERROR(three.make(), Exit::kUsage, "format bf16: no device has times for it");
  three.request.wishes.formats = {};
  three.request.wishes.head_format = Format::kBf16;
  EXPECT_ERROR(three.make(), Exit::kUsage, "head in bf16");
  three.request.wishes.head_format.reset();
  three.data.omega.resize(7);
  EXPECT_ERROR(three.make(), Exit::kUsage, "the indicator has 7 layers, the model 8");
  three.data.omega.clear();
  three.data.profile_of.pop_back();
  EXPECT_ERROR(three.make(), Exit::kUsage, "there are 3 ranks, and profiles for 2");
}

TEST(MakeProblem, TheIndicatorIsGivenOrDrawn) {
  ThreeGpus three;
  three.data.seed = 5;
  const auto drawn = random_omega(8, 5);
  EXPECT_EQ(three.make().problem.omega[4][2], drawn[4][static_cast<size_t>(Format::kW4)]);
  three.data.omega.assign(8, {0, 0, 1, 2, 3});
  three.data.theta = 4;
  three.data.max_omega = 9;
  const Problem problem = three.make().problem;
  EXPECT_EQ(problem.omega[7], (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ(problem.theta, 4);
  EXPECT_EQ(problem.max_omega, 9);
}

TEST(DeviceGroups, NeedEqualLinks) {
  const std::vector<DeviceKey> alike(4, DeviceKey{0, 100});
  const auto near = [](int from, int to) { return from / 2 == to / 2; };
  const auto pairs = device_groups(alike, [&](int a, int b) {
    return LinkModel{near(a, b) ? 1.0 : 2.0, 0};
  });
  EXPECT_EQ(pairs, (std::vector<std::vector<int>>{{0, 1}, {2, 3}}));
  const auto one = device_groups(alike, [](int, int) { return LinkModel{1, 1}; });
  EXPECT_EQ(one, (std::vector<std::vector<int>>{{0, 1, 2, 3}}));
  std::vector<DeviceKey> unlike = alike;
  unlike[1].memory_bytes = 50;
  unlike[3].profile = 1;
  const auto three = device_groups(unlike, [](int, int) { return LinkModel{1, 1}; });
  EXPECT_EQ(three, (std::vector<std::vector<int>>{{0, 2}, {1}, {3}}));
  // One way is slower: they cannot be swapped.
  const auto ways = device_groups({{0, 1}, {0, 1}}, [](int a, int) {
    return LinkModel{a == 0 ? 1.0 : 2.0, 0};
  });
  EXPECT_EQ(ways.size(), 2u);
}

}  // namespace
}  // namespace llmpq
