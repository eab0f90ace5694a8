// How long a step lasts on an emulated device, and when it ends.
#include "profile/device_clock.hpp"

#include <gtest/gtest.h>

#include "base/expect_error.hpp"

namespace llmpq {
namespace {

DeviceProfile device() {
  DeviceProfile profile;
  profile.device = "Example";
  profile.model.layer = {{Format::kBf16, {{1, 11}, {1e-3, 11e-3}}},
                         {Format::kW4, {{1, 11}, {5e-4, 6e-3}}}};
  profile.model.prefill_key_s = 1e-5;
  profile.model.decode_key_s = 2e-5;
  profile.model.embedding = {{1}, {1e-4}};
  profile.model.head = {{Format::kBf16, {{1, 3}, {2e-3, 4e-3}}}};
  return profile;
}

TEST(DeviceClock, AProfileAddsUpTheStagesParts) {
  const StepShape shape{
      .prefill_rows = 0, .prefill_keys = 0, .decode_rows = 6, .decode_keys = 100, .samples = 2};
  const auto in_window = [&](int64_t window) {
    StepShape seen = shape;
    if (window > 0) seen.decode_keys = 50;
    return seen;
  };
  const StageParts parts{.embedding = true,
                         .layers = {{Format::kBf16, 0, 2}, {Format::kW4, 8, 3}},
                         .head = Format::kBf16};
  const double bf16_s = 6e-3 + 100 * 2e-5, w4_s = 3.25e-3 + 50 * 2e-5;
  EXPECT_NEAR(seconds_by_profile(device(), parts, in_window), 6e-4 + 2 * bf16_s + 3 * w4_s + 3e-3,
              1e-12);
  EXPECT_NEAR(seconds_by_profile(device(), {false, {{Format::kW4, 0, 1}}, {}}, in_window),
              3.25e-3 + 100 * 2e-5, 1e-12);
}

TEST(DeviceClock, AFormatThatTheProfileLacksIsASentence) {
  const auto shape = [](int64_t) { return StepShape{}; };
  EXPECT_ERROR(seconds_by_profile(device(), {false, {{Format::kW3, 0, 1}}, {}}, shape),
               Exit::kUsage, "the profile of Example has no layer in w3");
  EXPECT_ERROR(seconds_by_profile(device(), {false, {}, Format::kW8}, shape), Exit::kUsage,
               "the profile of Example has no head in w8");
}

TEST(DeviceClock, ASlowdownMultipliesEachPartsCpuTime) {
  const Slowdown slowdown = parse_emulation("prefill=10,decode=4,w4.prefill=3").slowdown;
  const std::vector<CpuPart> parts{{false, std::nullopt, 1e-3},
                                   {true, Format::kBf16, 2e-3},
                                   {true, Format::kW4, 5e-3},
                                   {false, Format::kBf16, 7e-3}};
  const StepShape decode{
      .prefill_rows = 0, .prefill_keys = 0, .decode_rows = 1, .decode_keys = 9, .samples = 1};
  EXPECT_NEAR(seconds_by_slowdown(slowdown, parts, decode), 4 * 15e-3, 1e-12);
  StepShape mixed = decode;
  mixed.prefill_rows = 8;
  EXPECT_NEAR(seconds_by_slowdown(slowdown, parts, mixed),
              4 * 1e-3 + 10 * 2e-3 + 3 * 5e-3 + 4 * 7e-3, 1e-12);
}

TEST(Pace, StepsFollowEachOtherInTheDevicesTime) {
  Pace pace;
  EXPECT_DOUBLE_EQ(pace.end_of_step(10, 2, 10.5), 12);
  EXPECT_DOUBLE_EQ(pace.end_of_step(11, 2, 12.9), 14) << "was there before the first one's end";
  EXPECT_DOUBLE_EQ(pace.end_of_step(20, 1, 20.1), 21) << "the device was idle";
  EXPECT_EQ(pace.counts().overran, 0);
  EXPECT_DOUBLE_EQ(pace.end_of_step(21, 2, 24), 24) << "the host was too slow";
  EXPECT_DOUBLE_EQ(pace.end_of_step(21, 2, 24.5), 26);
  EXPECT_EQ(pace.counts().steps, 5);
  EXPECT_EQ(pace.counts().overran, 1);
  EXPECT_DOUBLE_EQ(pace.counts().worst, 1.5);
}

}  // namespace
}  // namespace llmpq
