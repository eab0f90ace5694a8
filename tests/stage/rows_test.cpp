#include "stage/rows.hpp"

#include <gtest/gtest.h>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// A decode row at position 5 and a prompt chunk of three rows.
Step good_step() {
  Step step;
  step.id = 4;
  step.tokens = {9, 1, 2, 3};
  step.ranges = {{10, 1, 5, 2, true}, {11, 3, 0, 1, false}};
  step.block_table = {3, 0, 2};
  return step;
}

Sizes sizes() {
  Sizes sizes;
  sizes.max_rows = 8;
  sizes.max_samples = 2;
  sizes.max_model_len = 64;
  sizes.kv_block_tokens = 4;
  return sizes;
}

TEST(Rows, SpellsOutPositionsTablesAndSamples) {
  const Rows rows = rows_of(good_step(), sizes(), 4);
  EXPECT_EQ(rows.tokens, (std::vector<int32_t>{9, 1, 2, 3}));
  EXPECT_EQ(rows.positions, (std::vector<int32_t>{5, 0, 1, 2}));
  ASSERT_EQ(rows.ranges.size(), 2u);
  EXPECT_EQ(rows.ranges[1].begin, 1);
  EXPECT_EQ(rows.ranges[1].rows, 3);
  EXPECT_EQ(rows.ranges[1].position, 0);
  EXPECT_EQ(rows.ranges[1].table, 2);
  EXPECT_EQ(rows.sampled, std::vector<int32_t>{0});
}

void expect_refused(const Step& step, const std::string& sentence) {
  try {
    rows_of(step, sizes(), 4);
    ADD_FAILURE() << "accepted; want: " << sentence;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kMpi);
    EXPECT_NE(std::string(error.what()).find(sentence), std::string::npos) << error.what();
  }
}

TEST(Rows, RefusesStepsThatContradictThemselves) {
  Step step = good_step();
  step.tokens.push_back(7);
  expect_refused(step, "its ranges");
  step = good_step();
  step.block_table[0] = 4;
  expect_refused(step, "block 4 of 4");
  step = good_step();
  step.ranges[0].position = 8;
  expect_refused(step, "blocks of 4");
  step = good_step();
  step.ranges[1].position = 62;
  expect_refused(step, "the cache ends at 64");
  step = good_step();
  step.tokens.assign(9, 1);
  expect_refused(step, "9 rows");
}

}  // namespace
}  // namespace llmpq
