#include "base/launcher.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace llmpq {
namespace {

TEST(Launcher, ReadsSqueuesTimeLeft) {
  EXPECT_EQ(parse_time_left("4\n"), 4);
  EXPECT_EQ(parse_time_left("03:04"), 184);
  EXPECT_EQ(parse_time_left("2:03:04\n"), 7384);
  EXPECT_EQ(parse_time_left("1-02:03:04"), 93784);
  for (const char* text : {"", "UNLIMITED\n", "INVALID", "slurm_load_jobs error"})
    EXPECT_EQ(parse_time_left(text), std::nullopt) << text;
}

TEST(Launcher, TheEnvironmentBeatsSqueue) {
  ::unsetenv("SLURM_JOB_ID");
  ::unsetenv("SLURM_JOB_END_TIME");
  EXPECT_EQ(slurm_end_s(), std::nullopt);
  ::setenv("SLURM_JOB_ID", "7", 1);
  ::setenv("SLURM_JOB_END_TIME", "1800000000", 1);
  EXPECT_EQ(slurm_end_s(), 1.8e9);
  ::unsetenv("SLURM_JOB_ID");
  ::unsetenv("SLURM_JOB_END_TIME");
}

}  // namespace
}  // namespace llmpq
