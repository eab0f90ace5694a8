// Plans that are made: splits, formats, sizes; and refusals whose suggestions are then followed.
#include "plan/solve.hpp"

#include <gtest/gtest.h>

#include "plan_fixture.hpp"

namespace llmpq {
namespace {

constexpr int64_t kPlenty = 1 << 20;  // KiB

TEST(Solve, SixteenBitEverywhereIfItFits) {
  const PlanCase c;
  const auto request = c.request({kPlenty, kPlenty, kPlenty});
  const PlanResult result = solve(request, Strategy::kJoint);
  const Plan& plan = result.plan;
  EXPECT_EQ(layer_counts(plan), "3,3,2");
  EXPECT_EQ(layer_formats(plan), std::vector<Format>(8, Format::kBf16));
  EXPECT_EQ(plan.head_format, Format::kBf16);
  EXPECT_EQ(plan.mix, Mix::kInterleaved);
  EXPECT_EQ(plan.lanes, 3);
  EXPECT_EQ(plan.decode_batch, 32);
  EXPECT_EQ(plan.prefill_tokens, 256);
  EXPECT_EQ(plan.model, "small");
  EXPECT_EQ(plan.layers, 8);
  // 4 batches of 32 sequences of 300 tokens, 19 blocks each.
  EXPECT_EQ(plan.kv_blocks, 4 * 32 * 19);
  EXPECT_HAS(result.reason,
             "bf16 for all layers, because nobody asked for fewer bits, and it fits");
  EXPECT_HAS(result.reason, "2432 KV blocks, all that the work can use");
  expect_fits(request, plan);
  for (const StagePlan& stage : plan.pipelines[0].stages) EXPECT_GT(stage.bytes, 0);
}

TEST(Solve, FewRowsTakeFewPlaces) {
  const PlanCase c;
  auto request = c.request({kPlenty, kPlenty});
  request.workload = {5, 40};
  const Plan plan = solve(request, Strategy::kJoint).plan;
  EXPECT_EQ(plan.lanes, 2);
  EXPECT_EQ(plan.decode_batch, 3);
  EXPECT_EQ(plan.kv_blocks, 5 * 3);
  request.workload = {0, 0};
  const Plan empty = solve(request, Strategy::kJoint).plan;
  EXPECT_EQ(empty.lanes, 1);
  EXPECT_EQ(empty.decode_batch, 1);
  EXPECT_EQ(empty.kv_blocks, 1);
}

TEST(Solve, ChunksAreShorterOnManyStages) {
  const PlanCase c;
  const auto request = c.request(std::vector<int64_t>(4, kPlenty));
  EXPECT_EQ(solve(request, Strategy::kJoint).plan.prefill_tokens, 128);
}

/// The formats that are chosen as memory gets shorter never gain bits, and all of them occur.
TEST(Solve, TheMostBitsThatFit) {
  const PlanCase c;
  std::vector<std::string> seen;
  int last_bits = 16;
  for (int64_t kib = 12000; kib > 0; kib -= 50) {
    const auto request = c.request({kib, kib});
    PlanResult result;
    try {
      result = solve(request, Strategy::kJoint);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::kNoPlan);
      break;
    }
    expect_fits(request, result.plan);
    const FormatInfo& row = info(layer_formats(result.plan)[0]);
    EXPECT_LE(row.bits, last_bits) << kib;
    if (row.bits < last_bits) {
      EXPECT_HAS(result.reason, "does not fit (rank ");
    }
    if (seen.empty() || seen.back() != row.name) seen.emplace_back(row.name);
    last_bits = row.bits;
    EXPECT_GE(result.plan.kv_blocks, 19);
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"bf16", "w8", "w4", "w3"}));
}

TEST(Solve, AFloat16ModelStaysFloat16) {
  PlanCase c;
  c.config.checkpoint_type = DType::kF16;
  const Plan plan = solve(c.request({kPlenty}), Strategy::kJoint).plan;
  EXPECT_EQ(layer_formats(plan)[0], Format::kF16);
  EXPECT_EQ(plan.head_format, Format::kF16);
}

TEST(Solve, AGpuWithoutBf16MakesTheJobFloat16) {
  const PlanCase c;
  auto request = c.request({kPlenty, kPlenty});
  request.ranks[0].compute_capability = 90;
  EXPECT_EQ(layer_formats(solve(request, Strategy::kJoint).plan)[0], Format::kBf16);
  request.ranks[1].compute_capability = 75;
  const PlanResult result = solve(request, Strategy::kJoint);
  EXPECT_EQ(layer_formats(result.plan), std::vector<Format>(8, Format::kF16)) << result.reason;
  EXPECT_EQ(result.plan.head_format, Format::kF16);
  request.wishes.formats = {Format::kBf16};
  EXPECT_EQ(layer_formats(solve(request, Strategy::kJoint).plan)[7], Format::kBf16);
}

TEST(Solve, ShortMemoryShrinksOpenSizesBeforeBits) {
  PlanCase c;
  c.config.vocab = 8000;  // logits and embedding weigh
  const auto needed = [&](int32_t chunk, int32_t batch) {
    auto request = c.request({kPlenty});
    request.wishes.prefill_tokens = chunk;
    request.wishes.decode_batch = batch;
    request.wishes.kv_blocks = 19;
    return predict_memory(request, solve(request, Strategy::kJoint).plan)[0].total();
  };
  ASSERT_GT(needed(256, 32), needed(64, 8));
  const auto request = c.request({needed(64, 8) * 50 / 49 / 1024 + 1});
  const Plan plan = solve(request, Strategy::kJoint).plan;
  EXPECT_EQ(layer_formats(plan)[0], Format::kBf16);
  EXPECT_EQ(plan.prefill_tokens, 64);
  EXPECT_EQ(plan.decode_batch, 8);
}

TEST(Solve, SpareRanksIdleUnlessEachWasAskedFor) {
  const PlanCase c;
  const auto request = c.request(std::vector<int64_t>(9, kPlenty));
  EXPECT_EQ(layer_counts(solve(request, Strategy::kJoint).plan), "1,1,1,1,1,1,1,1");
  EXPECT_HAS(error_of(Exit::kUsage, [&] { solve(request, Strategy::kUniform); }),
             "strategy uniform puts a stage on each of the 9 ranks, the model has only 8 layers: "
             "start at most 8 ranks");
}

TEST(Solve, UnlikeRanksGetUnlikeStages) {
  const PlanCase c;
  const auto request = c.request({6000, 40000, 3000});
  const PlanResult result = solve(request, Strategy::kJoint);
  EXPECT_EQ(layer_formats(result.plan)[0], Format::kBf16) << result.reason;
  expect_fits(request, result.plan);
  const auto& stages = result.plan.pipelines[0].stages;
  int64_t most = 0;
  int rank = -1;
  for (const StagePlan& stage : stages) {
    if (stage.layer_end - stage.layer_begin <= most) continue;
    most = stage.layer_end - stage.layer_begin;
    rank = stage.ranks[0];
  }
  EXPECT_EQ(rank, 1) << layer_counts(result.plan);
  // The even split has to give up bits here.
  const Plan uniform = solve(request, Strategy::kUniform).plan;
  EXPECT_EQ(layer_counts(uniform), "3,3,2");
  EXPECT_LT(info(layer_formats(uniform)[0]).bits, 16);
}

TEST(Solve, UniformIsEven) {
  const PlanCase c;
  for (const auto& [ranks, counts] : std::vector<std::pair<size_t, std::string>>{
           {1, "8"}, {2, "4,4"}, {3, "3,3,2"}, {5, "2,2,2,1,1"}, {8, "1,1,1,1,1,1,1,1"}}) {
    const auto request = c.request(std::vector<int64_t>(ranks, kPlenty));
    EXPECT_EQ(layer_counts(solve(request, Strategy::kUniform).plan), counts);
  }
}

TEST(Solve, WishesAreKept) {
  const PlanCase c;
  auto request = c.request({kPlenty, kPlenty});
  request.wishes.layers_per_stage = {2, 6};
  request.wishes.formats.assign(8, Format::kW4);
  request.wishes.formats[3] = Format::kW8;
  request.wishes.head_format = Format::kW8;
  request.wishes.prefill_tokens = 17;
  request.wishes.decode_batch = 5;
  request.wishes.lanes = 7;
  request.wishes.kv_blocks = 100;
  request.wishes.mix = Mix::kSeparated;
  for (Strategy strategy : {Strategy::kJoint, Strategy::kManual}) {
    const PlanResult result = solve(request, strategy);
    EXPECT_EQ(layer_counts(result.plan), "2,6");
    EXPECT_EQ(layer_formats(result.plan), request.wishes.formats);
    EXPECT_EQ(result.plan.head_format, Format::kW8);
    EXPECT_EQ(result.plan.prefill_tokens, 17);
    EXPECT_EQ(result.plan.decode_batch, 5);
    EXPECT_EQ(result.plan.lanes, 7);
    EXPECT_EQ(result.plan.kv_blocks, 100);
    EXPECT_EQ(result.plan.mix, Mix::kSeparated);
    EXPECT_HAS(result.reason,
               "w4 x3, w8 x1, w4 x4 as asked; separated; chunks of 17 tokens, 7 "
               "lanes of 5 sequences, 100 KV blocks as asked");
  }
}

TEST(Solve, WishesThatCannotBeHaveTheirSentences) {
  const PlanCase c;
  const auto sentence = [&](auto change, Strategy strategy) {
    auto request = c.request({kPlenty, kPlenty});
    change(request);
    return error_of(Exit::kUsage, [&] { solve(request, strategy); });
  };
  EXPECT_HAS(sentence(
                 [](auto& r) {
                   r.wishes.layers_per_stage = {4, 3};
                 },
                 Strategy::kJoint),
             "layers-per-stage 4,3 adds up to 7, the model has 8 layers");
  EXPECT_HAS(sentence(
                 [](auto& r) {
                   r.wishes.layers_per_stage = {8, 0};
                 },
                 Strategy::kManual),
             "want at least one for each stage");
  EXPECT_HAS(sentence(
                 [](auto& r) {
                   r.wishes.layers_per_stage = {3, 3, 2};
                 },
                 Strategy::kManual),
             "layers-per-stage 3,3,2 asks for 3 stages, the job has 2 ranks");
  EXPECT_HAS(sentence(
                 [](auto& r) {
                   r.wishes.layers_per_stage = {4, 4};
                 },
                 Strategy::kUniform),
             "strategy uniform makes stages of even size");
  EXPECT_HAS(sentence([](auto&) {}, Strategy::kManual), "strategy manual wants layers-per-stage");
  EXPECT_HAS(sentence([](auto& r) { r.wishes.formats.assign(3, Format::kW4); }, Strategy::kJoint),
             "format names 3 formats, the model has 8 layers; give one for all or one for each");
}

TEST(Solve, BlocksForTheLongestSequenceAreNeeded) {
  const PlanCase c;
  auto request = c.request({kPlenty});
  request.wishes.kv_blocks = 18;
  EXPECT_HAS(error_of(Exit::kNoPlan, [&] { solve(request, Strategy::kJoint); }),
             "18 KV blocks of 16 tokens hold 288 tokens, and the longest sequence (prompt and "
             "output) has 300: want at least 19 blocks");
  request.wishes.kv_blocks = 19;
  EXPECT_EQ(solve(request, Strategy::kJoint).plan.kv_blocks, 19);
}

/// The value behind `option` in the line of suggestions; "" if it is not there.
std::string suggested(const std::string& text, const std::string& option) {
  const size_t at = text.find(option + " ");
  if (at == std::string::npos) return "";
  const size_t begin = at + option.size() + 1;
  return text.substr(begin, text.find_first_of(" ;.", begin) - begin);
}

TEST(Solve, FewerBitsAreSuggestedAndFit) {
  const PlanCase c;
  auto request = c.request({5000, 5000});
  request.wishes.formats = {Format::kBf16};
  const auto text = error_of(Exit::kNoPlan, [&] { solve(request, Strategy::kJoint); });
  EXPECT_HAS(text, "no plan fits into the ranks' memory");
  EXPECT_HAS(text, "bf16 x4");
  EXPECT_HAS(text, " too much");
  const auto format = parse_format(suggested(text, "--format"));
  ASSERT_TRUE(format) << text;
  request.wishes.formats = {*format};
  expect_fits(request, solve(request, Strategy::kJoint).plan);
}

TEST(Solve, SmallerBatchesAreSuggestedAndFit) {
  const PlanCase c;
  auto request = c.request({20000});
  request.wishes.formats = {Format::kBf16};
  request.wishes.prefill_tokens = 4096;
  request.wishes.decode_batch = 2048;
  const auto text = error_of(Exit::kNoPlan, [&] { solve(request, Strategy::kJoint); });
  ASSERT_NE(suggested(text, "--prefill-tokens"), "") << text;
  request.wishes.prefill_tokens = std::stoi(suggested(text, "--prefill-tokens"));
  request.wishes.decode_batch = std::stoi(suggested(text, "--decode-batch"));
  expect_fits(request, solve(request, Strategy::kJoint).plan);
}

TEST(Solve, AShorterContextIsSuggestedAndIsTheLongestThatFits) {
  PlanCase c;
  c.config.max_positions = 1 << 20;
  auto request = c.request({6000, 6000});
  request.max_model_len = 1 << 17;
  request.workload.max_sequence_tokens = 1 << 17;
  const auto text = error_of(Exit::kNoPlan, [&] { solve(request, Strategy::kJoint); });
  ASSERT_NE(suggested(text, "--max-model-len"), "") << text;
  request.max_model_len = std::stoi(suggested(text, "--max-model-len"));
  request.workload.max_sequence_tokens = request.max_model_len;
  expect_fits(request, solve(request, Strategy::kJoint).plan);
  request.max_model_len += 16;
  request.workload.max_sequence_tokens += 16;
  error_of(Exit::kNoPlan, [&] { solve(request, Strategy::kJoint); });
}

TEST(Solve, AnotherSplitIsSuggestedAndFits) {
  const PlanCase c;
  auto request = c.request({10000, 10000});
  request.wishes.formats = {Format::kBf16};
  request.wishes.layers_per_stage = {7, 1};
  const auto text = error_of(Exit::kNoPlan, [&] { solve(request, Strategy::kManual); });
  EXPECT_HAS(text, "--layers-per-stage left out");
  request.wishes.layers_per_stage.clear();
  expect_fits(request, solve(request, Strategy::kJoint).plan);
}

TEST(Solve, FewerBlocksAreSuggestedAndFit) {
  const PlanCase c;
  auto request = c.request({12000, 12000});
  request.wishes.kv_blocks = 1 << 30;
  const auto text = error_of(Exit::kNoPlan, [&] { solve(request, Strategy::kJoint); });
  EXPECT_HAS(text, "--kv-blocks auto");
  request.wishes.kv_blocks.reset();
  expect_fits(request, solve(request, Strategy::kJoint).plan);
}

TEST(Solve, WhereNothingHelpsTheMissingMemoryIsNamed) {
  const PlanCase c;
  const auto text = error_of(Exit::kNoPlan, [&] {
    solve(c.request({100, 100}), Strategy::kJoint);
  });
  EXPECT_HAS(text, "No choice of formats, batches or context fits: even w3 needs ");
  EXPECT_HAS(text, "the ranks have 196 KiB");
}

}  // namespace
}  // namespace llmpq
