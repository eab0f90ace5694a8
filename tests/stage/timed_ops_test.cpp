#include "stage/timed_ops.hpp"

#include <gtest/gtest.h>

#include "kernels/backend.hpp"

namespace llmpq {
namespace {

TEST(TimedOps, ComputeTheSameAndWriteDownWhatTheyWere) {
  const auto backend = make_cpu_backend(1, "auto");
  const auto context = backend->make_context();
  std::vector<TimedOp> list;
  const Ops& ops = timed_ops(backend->ops(), list);
  std::vector<float> x{1, 2, 3}, more{10, 20, 30};
  ops.add(*context, {x.data(), more.data(), 3});
  EXPECT_EQ(x, (std::vector<float>{11, 22, 33}));
  const std::vector<int32_t> index{2, 0};
  std::vector<float> gathered(2);
  ops.gather_rows(*context, {x.data(), index.data(), 2, 1, gathered.data()});
  EXPECT_EQ(gathered, (std::vector<float>{33, 11}));
  ASSERT_EQ(list.size(), 2u);
  EXPECT_STREQ(list[0].name, "add");
  EXPECT_STREQ(list[1].name, "gather");
  EXPECT_LE(list[0].begin_s, list[0].end_s);
  EXPECT_LE(list[0].end_s, list[1].begin_s);
}

}  // namespace
}  // namespace llmpq
