#include "plan/preference.hpp"

#include <gtest/gtest.h>

namespace llmpq {
namespace {

TEST(Preference, SensitiveLayersGetMostBitsOfTheirStage) {
  Plan plan;
  plan.pipelines.resize(1);
  plan.pipelines[0].stages = {{{0}, 0, 3, {Format::kW4, Format::kW8, Format::kW3}, {}, {}, 0},
                              {{1}, 3, 6, {Format::kW8, Format::kW3, Format::kW3}, {}, {}, 0}};
  std::vector<ByFormat> omega;
  for (const double each : {3., 2., 1., 1., 1., 5.}) {
    ByFormat layer{};
    layer[static_cast<size_t>(Format::kW8)] = each;
    layer[static_cast<size_t>(Format::kW4)] = 16 * each;
    layer[static_cast<size_t>(Format::kW3)] = 64 * each;
    omega.push_back(layer);
  }
  // Layer 3 has a window: it may not swap with the others of its stage.
  const std::vector<int64_t> windows{0, 0, 0, 128, 0, 0};
  prefer(omega, windows, plan);
  using enum Format;
  EXPECT_EQ(layer_formats(plan), (std::vector<Format>{kW8, kW4, kW3, kW8, kW3, kW3}));
  prefer(omega, std::vector<int64_t>(6, 0), plan);
  EXPECT_EQ(layer_formats(plan), (std::vector<Format>{kW8, kW4, kW3, kW3, kW3, kW8}));
}

}  // namespace
}  // namespace llmpq
