#include "profile/emulate.hpp"

#include <gtest/gtest.h>

#include "base/expect_error.hpp"

namespace llmpq {
namespace {

TEST(Emulate, ReadsMemoryAndSms) {
  const Emulation both = parse_emulation("memory=2GiB,sms=8");
  EXPECT_EQ(both.memory_bytes, int64_t{2} << 30);
  EXPECT_EQ(both.sms, 8);
  EXPECT_EQ(both.clock, "");
  EXPECT_EQ(parse_emulation("sms=1,memory=300").memory_bytes, 300);
  EXPECT_EQ(parse_emulation("memory=512MiB").sms, std::nullopt);
  EXPECT_EQ(parse_emulation("none").memory_bytes, std::nullopt);
  EXPECT_EQ(parse_emulation("none").sms, std::nullopt);
}

TEST(Emulate, ReadsTheProfileClock) {
  const Emulation v100 = parse_emulation("profile=/data/v100.json,memory=1GiB");
  EXPECT_EQ(v100.profile, "/data/v100.json");
  EXPECT_EQ(v100.clock, "profile=/data/v100.json");
  EXPECT_EQ(v100.memory_bytes, int64_t{1} << 30);
  EXPECT_TRUE(v100.slowdown.empty());
}

TEST(Emulate, TheMostSpecificFactorHolds) {
  const Emulation e =
      parse_emulation("w4.prefill=3,slowdown=5,memory=1GiB,prefill=14.5,bf16.decode=2e1");
  EXPECT_EQ(e.clock, "w4.prefill=3,slowdown=5,prefill=14.5,bf16.decode=2e1");
  EXPECT_EQ(e.slowdown.factor(Phase::kPrefill, Format::kW4), 3);
  EXPECT_EQ(e.slowdown.factor(Phase::kPrefill, Format::kW8), 14.5);
  EXPECT_EQ(e.slowdown.factor(Phase::kPrefill, std::nullopt), 14.5);
  EXPECT_EQ(e.slowdown.factor(Phase::kDecode, Format::kW4), 5);
  EXPECT_EQ(e.slowdown.factor(Phase::kDecode, Format::kBf16), 20);
  EXPECT_EQ(e.slowdown.least(), 3);
  const Slowdown prefill = parse_emulation("prefill=7").slowdown;
  EXPECT_EQ(prefill.factor(Phase::kDecode, Format::kW4), 1) << "as the CPU is";
  EXPECT_EQ(prefill.least(), 1);
  EXPECT_EQ(parse_emulation("prefill=7,decode=4").slowdown.least(), 4) << "nothing has factor 1";
}

TEST(Emulate, WrongSpecsAreSentences) {
  EXPECT_ERROR(parse_emulation("speed=3"), Exit::kUsage, "no key \"speed\": want memory=SIZE");
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

TEST(Emulate, WrongClocksAreSentences) {
  for (const char* factor : {"0", "-2", "nan", "inf", "3x", "", "1e300"})
    EXPECT_ERROR(parse_emulation(std::string("slowdown=") + factor), Exit::kUsage,
                 std::string("slowdown is \"") + factor + "\": want a number above 0");
  EXPECT_ERROR(parse_emulation("w5.prefill=2"), Exit::kUsage, "want one of bf16, f16, w8, w4, w3");
  EXPECT_ERROR(parse_emulation("w4.slowdown=2"), Exit::kUsage, "no key \"w4.slowdown\"");
  EXPECT_ERROR(parse_emulation("decode=2,decode=3"), Exit::kUsage, "decode is given twice");
  EXPECT_ERROR(parse_emulation("profile="), Exit::kUsage, "profile: want a file");
  EXPECT_ERROR(parse_emulation("profile=a,profile=b"), Exit::kUsage, "profile is given twice");
  EXPECT_ERROR(parse_emulation("profile=a,decode=3"), Exit::kUsage, "are two clocks");
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

TEST(Emulate, AHostNeedsRoomForItsEmulatedDevices) {
  const auto rank = [](int index, const char* host, const char* cpus, double cores) {
    return CoreNeed{index, host, cpus, 2, true, cores};
  };
  EXPECT_NO_THROW(check_cores({rank(0, "a", "0-1", 0.7), rank(1, "a", "0-1", 0.7)}));
  EXPECT_ERROR(check_cores({rank(0, "a", "0-1", 0.9), rank(1, "a", "0-1", 0.7)}), Exit::kUsage,
               "takes 1.60 cores of a (rank 0 0.90, rank 1 0.70), more than 70 % of its 2");
  EXPECT_NO_THROW(check_cores({rank(0, "a", "0-1", 0.9), rank(1, "a", "2-3", 0.7)}))
      << "other CPUs";
  EXPECT_NO_THROW(check_cores({rank(0, "a", "0-1", 0.9), rank(1, "b", "0-1", 0.7)})) << "a host";
  CoreNeed real = rank(1, "a", "0-1", 2);
  real.emulated = false;
  EXPECT_NO_THROW(check_cores({real, real})) << "nothing is emulated";
  EXPECT_ERROR(check_cores({rank(0, "a", "0-1", 0.1), real}), Exit::kUsage, "takes 2.10 cores");
}

}  // namespace
}  // namespace llmpq
