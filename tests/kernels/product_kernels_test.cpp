// The choice among a GPU's kernels for products with integer weights: no GPU is needed.
#include "kernels/product_kernels.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace llmpq::test {
namespace {

using enum ProductKernel;
using testing::ElementsAre;

ProductKernelSet set_of(std::initializer_list<ProductKernel> kernels) {
  ProductKernelSet set;
  for (const ProductKernel kernel : kernels) set.add(kernel);
  return set;
}
const ProductKernelSet kHopper = set_of({kFewRows, kFewRowsAhead, kFewRowsWide, kFewRowsWideAhead,
                                         kWgmma, kWgmma128, kWgmma256, kDequantized});
const ProductKernelSet kAmpere =
    set_of({kFewRows, kFewRowsAhead, kFewRowsWide, kFewRowsWideAhead, kDequantized});
const ProductKernelSet kPascal = set_of({kDequantized});

constexpr ProductSize kSize{Format::kW4, 4096, 1024, 0};
ProductTiming timing(int64_t rows, ProductKernel kernel, double seconds) {
  ProductSize size = kSize;
  size.rows = rows;
  return {size, kernel, seconds};
}
ProductChoice line(int64_t most_rows, ProductKernel kernel) {
  return {kSize.format, kSize.n, kSize.k, most_rows, kernel};
}
ProductKernel chosen(const std::vector<ProductChoice>& choices, int64_t rows,
                     const ProductKernelSet& there = kHopper) {
  return kernel_for(choices, {kSize.format, kSize.n, kSize.k, rows}, there);
}

TEST(ProductKernels, TheTableIsInTheEnumsOrder) {
  for (size_t i = 0; i < kProductKernels.size(); ++i) {
    EXPECT_EQ(static_cast<size_t>(kProductKernels[i].kernel), i);
    EXPECT_EQ(parse_product_kernel(kProductKernels[i].name), kProductKernels[i].kernel);
  }
  EXPECT_FALSE(parse_product_kernel("no-kernel"));
}

TEST(ProductKernels, EveryNumberOfRowsHasAUsualKernelThatMayRun) {
  for (const ProductKernelSet& there : {kHopper, kAmpere, kPascal})
    for (const int64_t rows : {1, 64, 65, 512, 513, 100000})
      EXPECT_TRUE(may_run(usual_kernel(rows, there), rows, there)) << rows;
  EXPECT_EQ(usual_kernel(64, kHopper), kFewRows);
  EXPECT_EQ(usual_kernel(65, kHopper), kWgmma);
  EXPECT_EQ(usual_kernel(513, kHopper), kDequantized);
  EXPECT_EQ(usual_kernel(65, kAmpere), kDequantized);
  EXPECT_EQ(usual_kernel(1, kPascal), kDequantized);
}

SumOrder order_at(const std::vector<ProductChoice>& choices, int64_t rows) {
  return info(chosen(choices, rows)).order;
}

/// A row must have the same bits in every batch of up to kMostFewRows, so no timing may bring
/// a second order of summation there.
TEST(ProductKernels, FewRowsHaveOneOrderOfSummationWhateverIsFaster) {
  for (uint32_t pattern = 0; pattern < 1u << 12; ++pattern) {
    std::vector<ProductTiming> timings;
    uint32_t bits = pattern;
    for (const int64_t rows : {1, 16, 64})
      for (const ProductKernel kernel :
           {kFewRows, kFewRowsAhead, kFewRowsWide, kFewRowsWideAhead}) {
        timings.push_back(timing(rows, kernel, bits % 2 == 0 ? 1.0 : 0.5));
        bits /= 2;
      }
    timings.push_back(timing(16, kDequantized, 1e-3));
    timings.push_back(timing(16, kWgmma, 1e-3));
    const auto choices = choose_products(timings);
    for (const int64_t rows : {5, 16, 17, 63, 64})
      ASSERT_EQ(order_at(choices, rows), order_at(choices, 1)) << pattern << ", " << rows;
    ASSERT_NE(order_at(choices, 1), SumOrder::kByRows);
  }
}

TEST(ProductKernels, FewRowsThatWereNotTimedHaveTheOrderOfThoseThatWere) {
  const std::vector<ProductChoice> choices{line(16, kFewRowsWideAhead), line(512, kWgmma)};
  EXPECT_EQ(chosen(choices, 16), kFewRowsWideAhead);
  EXPECT_EQ(chosen(choices, 17), kFewRowsWide);
  EXPECT_EQ(chosen(choices, 65), kWgmma);
  const std::vector<ProductChoice> mixed{line(1, kFewRowsAhead), line(16, kFewRowsWide)};
  EXPECT_EQ(chosen(mixed, 1), kFewRowsAhead);
  EXPECT_EQ(chosen(mixed, 16), kFewRows) << "a profile that was edited does not mix them either";
}

TEST(ProductKernels, TheWideOrderMustBeFasterInTheMean) {
  const auto with = [](double at_1, double at_64) {
    return choose_products(std::vector{timing(1, kFewRows, 1), timing(1, kFewRowsWide, at_1),
                                       timing(64, kFewRows, 10), timing(64, kFewRowsWide, at_64)});
  };
  EXPECT_EQ(order_at(with(1.1, 8.0), 1), SumOrder::kFewRowsWide);
  EXPECT_EQ(order_at(with(1.1, 9.5), 1), SumOrder::kFewRows);
  EXPECT_EQ(order_at(with(0.99, 9.9), 1), SumOrder::kFewRows) << "noise";
  EXPECT_EQ(
      order_at(choose_products(std::vector{timing(1, kFewRows, 1), timing(1, kFewRowsWide, .1),
                                           timing(64, kFewRows, 10)}),
               64),
      SumOrder::kFewRows)
      << "not timed everywhere";
}

TEST(ProductKernels, WhatRunsByRowsNeverRunsForFew) {
  const std::vector<ProductChoice> by_hand{line(1000, kDequantized)};
  EXPECT_EQ(chosen(by_hand, 64), kFewRows) << "a profile that was edited changes nothing of it";
  EXPECT_EQ(chosen(by_hand, 65), kDequantized);
  EXPECT_EQ(chosen(by_hand, 1, kPascal), kDequantized);
}

TEST(ProductKernels, TheFastestOfEachNumberOfRowsIsChosen) {
  const auto choices = choose_products(std::vector{
      timing(512, kWgmma, 9), timing(512, kWgmma256, 7), timing(512, kDequantized, 8),
      timing(16, kFewRows, 2), timing(16, kFewRowsAhead, 1), timing(64, kFewRows, 2),
      timing(64, kFewRowsAhead, 3), timing(2048, kWgmma, 30), timing(2048, kDequantized, 40)});
  EXPECT_THAT(choices, ElementsAre(line(16, kFewRowsAhead), line(64, kFewRows),
                                   line(512, kWgmma256), line(2048, kWgmma)));
  EXPECT_EQ(chosen(choices, 1), kFewRowsAhead);
  EXPECT_EQ(chosen(choices, 17), kFewRows);
  EXPECT_EQ(chosen(choices, 65), kWgmma256);
  EXPECT_EQ(chosen(choices, 513), kWgmma);
  EXPECT_EQ(chosen(choices, 2049), kDequantized) << "beyond what was timed the usual one";
  EXPECT_EQ(chosen(choices, 100, kAmpere), kDequantized) << "a profile of another GPU";
}

TEST(ProductKernels, OtherMatricesAndFormatsKeepTheirUsualKernels) {
  const std::vector<ProductChoice> choices{line(64, kFewRowsAhead)};
  EXPECT_EQ(kernel_for(choices, {Format::kW4, 4096, 1024, 8}, kHopper), kFewRowsAhead);
  EXPECT_EQ(kernel_for(choices, {Format::kW8, 4096, 1024, 8}, kHopper), kFewRows);
  EXPECT_EQ(kernel_for(choices, {Format::kW4, 4095, 1024, 8}, kHopper), kFewRows);
  EXPECT_EQ(kernel_for(choices, {Format::kW4, 4096, 1023, 8}, kHopper), kFewRows);
}

TEST(ProductKernels, NoiseDoesNotDriveOutTheUsualKernel) {
  EXPECT_EQ(
      chosen(choose_products(std::vector{timing(8, kFewRows, 1.0), timing(8, kFewRowsAhead, 0.99)}),
             8),
      kFewRows);
  EXPECT_EQ(
      chosen(choose_products(std::vector{timing(8, kFewRows, 1.0), timing(8, kFewRowsAhead, 0.97)}),
             8),
      kFewRowsAhead);
}

TEST(ProductKernels, TheOrderOfTheTimingsDoesNotMatterAndTheQuietestCounts) {
  std::vector<ProductTiming> timings{
      timing(8, kFewRows, 3),     timing(8, kFewRowsAhead, 9),   timing(8, kFewRowsAhead, 2),
      timing(512, kWgmma, 5),     timing(512, kWgmma128, 4),     timing(512, kDequantized, 4.5),
      timing(1024, kWgmma128, 4), timing(1024, kDequantized, 5),
  };
  const auto wanted = choose_products(timings);
  EXPECT_THAT(wanted, ElementsAre(line(8, kFewRowsAhead), line(1024, kWgmma128)))
      << "neighbours with the same kernel become one";
  const auto before = [](const ProductTiming& a, const ProductTiming& b) {
    return std::pair(a.size.rows, a.seconds) < std::pair(b.size.rows, b.seconds);
  };
  std::sort(timings.begin(), timings.end(), before);
  int orders = 0;
  do {
    ASSERT_EQ(choose_products(timings), wanted);
  } while (++orders < 500 && std::next_permutation(timings.begin(), timings.end(), before));
  EXPECT_EQ(orders, 500);
}

TEST(ProductKernels, PeopleReadOneTextForEachMatrix) {
  std::vector<ProductChoice> choices{line(64, kFewRowsAhead), line(512, kWgmma)};
  choices.push_back({Format::kW3, 10, 20, 7, kDequantized});
  EXPECT_THAT(describe(choices),
              ElementsAre("w4 [4096, 1024]: up to 64 rows few-rows-ahead, up to 512 rows wgmma",
                          "w3 [10, 20]: up to 7 rows dequantized"));
  EXPECT_TRUE(describe({}).empty());
}

}  // namespace
}  // namespace llmpq::test
