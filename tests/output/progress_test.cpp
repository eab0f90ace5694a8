#include "output/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace llmpq {
namespace {

using testing::HasSubstr;
using testing::Not;

ProgressLine line() {
  ProgressLine line;
  line.counts = {.rows_done = 37, .rows_failed = 2, .prompt_tokens = 1000, .output_tokens = 500};
  line.rows = 500;
  line.prompt_tokens_per_s = 812.4;
  line.output_tokens_per_s = 340;
  return line;
}

TEST(ProgressText, SaysAllThereIsToKnow) {
  ProgressLine full = line();
  full.eta_s = 131;
  full.slurm_left_s = 26 * 3600;
  EXPECT_EQ(progress_text(full),
            "37/500 rows (7.4 %), 2 failed, 812 tokens/s in, 340 tokens/s out, ETA 0:02:11, "
            "Slurm 26:00:00");
  full.counts.rows_failed = 0;
  full.eta_s.reset();
  full.slurm_left_s.reset();
  EXPECT_EQ(progress_text(full), "37/500 rows (7.4 %), 812 tokens/s in, 340 tokens/s out, ETA ?");
}

TEST(ProgressText, TheBarFillsAndNoRowsAreAllRows) {
  ProgressLine half = line();
  half.counts.rows_done = 250;
  EXPECT_THAT(progress_bar(half), HasSubstr("[############............] 250/500 rows (50.0 %)"));
  ProgressLine none;
  EXPECT_THAT(progress_bar(none), HasSubstr("[########################] 0/0 rows (100.0 %)"));
}

TEST(Progress, TheLastLineCountsThisRunAndSlurmsTime) {
  const std::string end = std::to_string(std::time(nullptr) + 100);
  ::setenv("SLURM_JOB_END_TIME", end.c_str(), 1);
  testing::internal::CaptureStderr();
  {
    Progress progress(50, 10);
    progress.update({.rows_done = 20, .rows_failed = 0, .prompt_tokens = 5, .output_tokens = 7});
    progress.finish();
    progress.finish();
  }
  const std::string text = testing::internal::GetCapturedStderr();
  ::unsetenv("SLURM_JOB_END_TIME");
  EXPECT_THAT(text, HasSubstr("20/50 rows (40.0 %)"));
  EXPECT_THAT(text, HasSubstr("Slurm 0:01:"));
  EXPECT_THAT(text, Not(HasSubstr("\r")));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

}  // namespace
}  // namespace llmpq
