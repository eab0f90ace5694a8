#include "input/tensor_places.hpp"

#include <gtest/gtest.h>

#include <set>

namespace llmpq {
namespace {

/// Four heads of three rows, two KV heads.
ModelConfig grouped_heads() {
  ModelConfig config;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 3;
  config.hidden = 12;
  config.ffn = 5;
  config.qkv_bias = true;
  return config;
}

Family family_with(QkvLayout qkv) {
  static constexpr TensorName kNames[] = {{TensorRole::kGate, "both"}, {TensorRole::kUp, "both"}};
  return {"some", "SomeForCausalLM", "Some", nullptr, kNames, {}, qkv};
}

/// Every row of q, k and v is a row of its own, whatever the layout, and runs are consecutive.
TEST(TensorPlaces, RowsOfASharedTensorAreAllItsRows) {
  const ModelConfig config = grouped_heads();
  for (const auto layout : {QkvLayout::kOneAfterTheOther, QkvLayout::kPerKvHead}) {
    const Family family = family_with(layout);
    std::set<int64_t> rows;
    for (const TensorRole role : {TensorRole::kQ, TensorRole::kK, TensorRole::kV}) {
      const int64_t count = shape_of(config, role)->rows;
      for (int64_t row = 0; row < count; ++row) {
        const StoredRows run = stored_rows(config, family, role, row);
        rows.insert(run.begin);
        ASSERT_GT(run.count, 0);
        ASSERT_LE(row + run.count, count);
        EXPECT_EQ(stored_rows(config, family, role, row + run.count - 1).begin,
                  run.begin + run.count - 1);
      }
    }
    EXPECT_EQ(rows.size(), 24u);
    EXPECT_EQ(*rows.rbegin(), 23);
    EXPECT_EQ(rows_of_tensor(config, family, TensorRole::kVBias), 24);
  }
}

TEST(TensorPlaces, HeadsStandWithTheirKvHead) {
  // q0 q1 k0 v0 q2 q3 k1 v1, three rows each.
  const ModelConfig config = grouped_heads();
  const Family family = family_with(QkvLayout::kPerKvHead);
  EXPECT_EQ(stored_rows(config, family, TensorRole::kQ, 7).begin, 13);
  EXPECT_EQ(stored_rows(config, family, TensorRole::kQ, 7).count, 2);
  EXPECT_EQ(stored_rows(config, family, TensorRole::kKBias, 3).begin, 18);
  EXPECT_EQ(stored_rows(config, family, TensorRole::kV, 1).begin, 10);
}

TEST(TensorPlaces, UpRowsFollowGateRows) {
  const ModelConfig config = grouped_heads();
  const Family family = family_with(QkvLayout::kSeparate);
  EXPECT_EQ(stored_rows(config, family, TensorRole::kGate, 2).begin, 2);
  EXPECT_EQ(stored_rows(config, family, TensorRole::kUp, 2).begin, 7);
  EXPECT_EQ(stored_rows(config, family, TensorRole::kUp, 2).count, 3);
  EXPECT_EQ(rows_of_tensor(config, family, TensorRole::kUp), 10);
  EXPECT_EQ(rows_of_tensor(config, family, TensorRole::kQ), 12);
}

}  // namespace
}  // namespace llmpq
