// Values of a row of the prompts file over the job's.
#include "input/row_options.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace llmpq {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const RowOption& option_of(std::string_view name) {
  for (const RowOption& option : row_options())
    if (option.name == name) return option;
  throw std::logic_error("no such option");
}

TEST(RowOptions, MissingValueLeavesTheJobs) {
  Sampling sampling;
  sampling.top_p = 0.5f;
  EXPECT_THAT(apply_row_option(option_of("top_p"), std::nan(""), sampling), IsEmpty());
  EXPECT_THAT(apply_row_option(option_of("top_p"), -1, sampling), IsEmpty());
  EXPECT_EQ(sampling.top_p, 0.5f);
}

TEST(RowOptions, ValueOutOfRangeIsNamed) {
  Sampling sampling;
  EXPECT_THAT(apply_row_option(option_of("top_p"), 0, sampling), HasSubstr("top_p is 0, want"));
  EXPECT_THAT(apply_row_option(option_of("max_tokens"), 0, sampling), HasSubstr("max_tokens is 0"));
  EXPECT_EQ(sampling.top_p, 1);
}

TEST(RowOptions, NumberTooSmallForAFloatStaysAboveZero) {
  Sampling sampling;
  EXPECT_THAT(apply_row_option(option_of("top_p"), 1e-300, sampling), IsEmpty());
  EXPECT_GT(sampling.top_p, 0);
  EXPECT_THAT(apply_row_option(option_of("max_tokens"), 7, sampling), IsEmpty());
  EXPECT_EQ(sampling.max_tokens, 7);
}

}  // namespace
}  // namespace llmpq
