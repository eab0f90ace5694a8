// The answers are the last that fit: a step further nothing does.
#include "plan/questions.hpp"

#include <gtest/gtest.h>

#include <map>

#include "plan/search.hpp"
#include "plan_fixture.hpp"

namespace llmpq {
namespace {

constexpr Strategy kStrategy = Strategy::kUniform;

bool fits(const PlanRequest& request) {
  return search(request, choose_split(request, kStrategy)).fits;
}

TEST(Questions, TheLargestBatch) {
  const PlanCase c;
  int limited = 0;
  for (const int64_t kib : {8000, 12000, 20000, 60000}) {
    PlanRequest request = c.request({kib, kib});
    const Answer answer = largest_batch(request, kStrategy);
    ASSERT_TRUE(answer.value) << kib;
    expect_fits(request, *answer.plan);
    request.wishes.decode_batch = static_cast<int32_t>(*answer.value);
    EXPECT_TRUE(fits(request));
    if (*answer.value == 1000) continue;  // all rows
    ++limited;
    ++*request.wishes.decode_batch;
    EXPECT_FALSE(fits(request)) << *answer.value;
  }
  EXPECT_GT(limited, 1);
}

/// A token of a head takes head_dim bytes and a scale in int8, and twice head_dim bytes in bf16.
TEST(Questions, ACacheInInt8HoldsMore) {
  const PlanCase c;
  PlanRequest request = c.request({12000, 12000});
  request.wishes.formats = {Format::kBf16};
  std::map<DType, int> batch;
  for (const DType type : {DType::kF32, DType::kBf16, DType::kInt8}) {
    request.kv_type = type;
    const Answer answer = largest_batch(request, kStrategy);
    ASSERT_TRUE(answer.value);
    expect_fits(request, *answer.plan);
    batch[type] = static_cast<int>(*answer.value);
  }
  EXPECT_LT(batch[DType::kF32], batch[DType::kBf16]);
  EXPECT_LT(batch[DType::kBf16], batch[DType::kInt8]);
}

TEST(Questions, TheLongestContext) {
  const PlanCase c;
  int limited = 0;
  for (int64_t kib = 6000; kib < 10000; kib += 50) {
    PlanRequest request = c.request({kib, kib});
    request.wishes.formats = {Format::kBf16};
    const Answer answer = longest_context(request, kStrategy);
    if (!answer.value || *answer.value == 1024) continue;
    ++limited;
    for (const int more : {0, 16}) {
      request.max_model_len = request.workload.max_sequence_tokens =
          static_cast<int64_t>(*answer.value) + more;
      EXPECT_EQ(fits(request), more == 0) << kib << " KiB, " << *answer.value;
    }
  }
  EXPECT_GT(limited, 2);
  const Answer all = longest_context(c.request({1 << 20, 1 << 20}), kStrategy);
  EXPECT_EQ(all.value, 1024);
  EXPECT_HAS(all.sentence, "1024 tokens (as long as the model's)");
}

TEST(Questions, TheMostBits) {
  const PlanCase c;
  EXPECT_EQ(fewest_cuts(c.request({1 << 20, 1 << 20}), kStrategy).value, 16);
  const Answer answer = fewest_cuts(c.request({5000, 5000}), kStrategy);
  ASSERT_TRUE(answer.value);
  EXPECT_LT(*answer.value, 16);
  EXPECT_HAS(answer.sentence, "bf16");
  EXPECT_HAS(to_json(answer), "\"bits\": ");
}

TEST(Questions, WhereNothingFits) {
  const PlanCase c;
  const PlanRequest request = c.request({100, 100});
  EXPECT_EQ(largest_batch(request, kStrategy).sentence,
            "not even a decode batch of 1 fits on these devices");
  EXPECT_EQ(longest_context(request, kStrategy).value, std::nullopt);
  EXPECT_EQ(fewest_cuts(request, kStrategy).sentence,
            "not even bf16, w8, w4, w3 fits on these devices");
  EXPECT_HAS(to_json(fewest_cuts(request, kStrategy)), "\"bits\": null");
}

}  // namespace
}  // namespace llmpq
