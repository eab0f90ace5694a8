#include "profile/emulate.hpp"

#include <gtest/gtest.h>

#include "base/expect_error.hpp"

namespace llmpq {
namespace {

TEST(Emulate, ReadsMemoryAndSms) {
  const Emulation both = parse_emulation("memory=2GiB,sms=8");
  EXPECT_EQ(both.memory_bytes, int64_t{2} << 30);
  EXPECT_EQ(both.sms, 8);
  EXPECT_EQ(parse_emulation("sms=1,memory=300").memory_bytes, 300);
  EXPECT_EQ(parse_emulation("memory=512MiB").sms, std::nullopt);
  EXPECT_EQ(parse_emulation("none").memory_bytes, std::nullopt);
  EXPECT_EQ(parse_emulation("none").sms, std::nullopt);
}

TEST(Emulate, WrongSpecsAreSentences) {
  EXPECT_ERROR(parse_emulation("slowdown=3"), Exit::kUsage,
               "no key \"slowdown\" in this version: want memory=SIZE, sms=N");
  EXPECT_ERROR(parse_emulation("memory=2GiB,"), Exit::kUsage, "\"\" is no key=value");
  EXPECT_ERROR(parse_emulation(""), Exit::kUsage, "\"\" is no key=value");
  EXPECT_ERROR(parse_emulation("none,sms=2"), Exit::kUsage, "\"none\" is no key=value");
  EXPECT_ERROR(parse_emulation("memory=lots"), Exit::kUsage, "--emulate memory=lots: memory");
  EXPECT_ERROR(parse_emulation("memory=0"), Exit::kUsage, "want more than nothing");
  EXPECT_ERROR(parse_emulation("memory=-1GiB"), Exit::kUsage, "want a size");
  EXPECT_ERROR(parse_emulation("memory=nan"), Exit::kUsage, "want a size");
  EXPECT_ERROR(parse_emulation("sms=0"), Exit::kUsage, "sms is \"0\": want an integer from 1");
  EXPECT_ERROR(parse_emulation("sms=3x"), Exit::kUsage, "sms is \"3x\"");
  EXPECT_ERROR(parse_emulation("sms=99999999999999999999"), Exit::kUsage, "want an integer");
  EXPECT_ERROR(parse_emulation("sms=1,sms=2"), Exit::kUsage, "sms is given twice");
}

TEST(Emulate, OneForAllOrOneForEach) {
  for (const Emulation& emulation : emulations({}, 2)) EXPECT_EQ(emulation.sms, std::nullopt);
  const auto all = emulations({"sms=4"}, 3);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[2].sms, 4);
  const auto each = emulations({"sms=4", "none"}, 2);
  EXPECT_EQ(each[0].sms, 4);
  EXPECT_EQ(each[1].sms, std::nullopt);
  EXPECT_ERROR(emulations({"none", "none"}, 3), Exit::kUsage,
               "--emulate: there are 2 values for 3 ranks");
  EXPECT_ERROR(emulations({"none", "none"}, 1), Exit::kUsage, "2 values for 1 ranks");
}

}  // namespace
}  // namespace llmpq
