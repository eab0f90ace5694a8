#include "base/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmpq {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

std::string logged(const auto& work) {
  testing::internal::CaptureStderr();
  work();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, ALineHasTimeLevelRankAndHost) {
  set_log_identity(3, "node7");
  const std::string line = logged([] { log_warning("{} rows of {}", 5, "prompts.h5"); });
  EXPECT_THAT(line,
              MatchesRegex("....-..-.. ..:..:.. warning rank 3 node7 5 rows of prompts.h5\n"));
}

TEST(Log, LevelsBelowTheSetOneAreLeftOut) {
  EXPECT_EQ(logged([] { log_debug("details"); }), "");
  set_log_level(LogLevel::kDebug);
  EXPECT_THAT(logged([] { log_debug("details"); }), HasSubstr(" debug "));
  set_log_level(LogLevel::kError);
  EXPECT_EQ(logged([] { log_warning("hm"); }), "");
  set_log_level(LogLevel::kInfo);
}

TEST(Log, TheStatusLineStaysBelowTheLog) {
  const std::string text = logged([] {
    show_status_line("[###   ]");
    log_info("event");
    show_status_line("");
  });
  EXPECT_THAT(text, HasSubstr("event\n[###   ]"));
  EXPECT_THAT(logged([] { show_status_line(""); }), Not(HasSubstr("\r")));
}

}  // namespace
}  // namespace llmpq
