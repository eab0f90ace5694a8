#include "output/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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

TEST(SlurmWarning, ComesOnceAsItBecomesSo) {
  SlurmWarning warning;
  ProgressLine now = line();
  EXPECT_FALSE(warning.is_due(now)) << "no ETA, no Slurm";
  now.slurm_left_s = 100;
  now.eta_s = 95;
  EXPECT_FALSE(warning.is_due(now));
  now.eta_s = 101;
  EXPECT_TRUE(warning.is_due(now));
  EXPECT_FALSE(warning.is_due(now));
  now.eta_s = 99;
  EXPECT_FALSE(warning.is_due(now));
  now.eta_s = 101;
  EXPECT_FALSE(warning.is_due(now)) << "it was never clearly better";
  now.eta_s = 50;
  EXPECT_FALSE(warning.is_due(now));
  now.eta_s = 101;
  EXPECT_TRUE(warning.is_due(now));
}

TEST(Progress, WarnsAtTheStartOfATimeThatWillNotDo) {
  testing::internal::CaptureStderr();
  {
    Progress progress(50, 10, static_cast<double>(std::time(nullptr)) + 1000);
    progress.expect(1100);  // 880 s for the 40 rows that are left
    progress.expect(3600);
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("the ETA of 0:48:00 is beyond Slurm's time left, 0:16:"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST(Progress, LinesCountThisRunAndSlurmsTime) {
  testing::internal::CaptureStderr();
  {
    Progress progress(50, 10, static_cast<double>(std::time(nullptr)) + 100);
    progress.update({.rows_done = 20, .rows_failed = 0, .prompt_tokens = 5, .output_tokens = 7});
    progress.finish();
    progress.finish();
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("Slurm gives this job 0:01:"));
  EXPECT_THAT(text, HasSubstr("20/50 rows (40.0 %)"));
  EXPECT_THAT(text, HasSubstr(", Slurm 0:01:"));
  EXPECT_THAT(text, Not(HasSubstr("\r")));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

}  // namespace
}  // namespace llmpq
