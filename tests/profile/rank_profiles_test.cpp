#include "profile/rank_profiles.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/expect_error.hpp"

namespace llmpq {
namespace {

DeviceProfile device(const std::string& name, const std::string& shape, double key_s) {
  DeviceProfile profile;
  profile.device = name;
  profile.shape = shape;
  profile.model.decode_key_s = key_s;
  return profile;
}

RankReport rank(int index, const std::string& name) {
  RankReport report;
  report.rank = index;
  report.device = name;
  return report;
}

TEST(RankProfiles, DevicesAreToldByNameAndTakenInTurn) {
  const ProfileFile file{"", {device("A", "", 1), device("B", "s", 2), device("A", "s", 3)}, {}};
  const auto profiles = choose_profiles(
      file, "f.json", {rank(0, "B"), rank(1, "A"), rank(2, "A"), rank(3, "A")}, "s");
  ASSERT_EQ(profiles.size(), 4u);
  EXPECT_EQ(profiles[0].model.decode_key_s, 2);
  EXPECT_EQ(profiles[1].model.decode_key_s, 1);
  EXPECT_EQ(profiles[2].model.decode_key_s, 3);
  EXPECT_EQ(profiles[3].model.decode_key_s, 3);
}

TEST(RankProfiles, WrongFilesAreSentences) {
  const ProfileFile file{"", {device("A", "s", 1)}, {}};
  EXPECT_ERROR(choose_profiles(file, "f.json", {rank(0, "A"), rank(1, "C")}, "s"), Exit::kUsage,
               "f.json: rank 1 computes on C (cpu), and the profile has A (cpu) only");
  EXPECT_ERROR(choose_profiles(file, "f.json", {rank(0, "A")}, "t"), Exit::kUsage,
               "f.json: A was measured for layers of another model (shape s, this model has t)");
  RankReport gpu = rank(0, "A");
  gpu.backend = BackendKind::kCuda;
  EXPECT_ERROR(choose_profiles(file, "f.json", {gpu}, "s"), Exit::kUsage, "A (cuda)");
}

TEST(RankProfiles, LinksOfBothWaysAndOfUnmeasuredPairs) {
  const std::vector<RankTransfer> transfers{{0, 1, 10, 2}, {1, 2, 1, 50}};
  const auto links = link_models(transfers, {{0, 0}, {1e-9, 2e-9}, {0, 0}});
  EXPECT_DOUBLE_EQ(links[0][1].latency_s, 2e-6);
  EXPECT_DOUBLE_EQ(links[0][1].s_per_byte, 1e-10 + 2e-9) << "up to the device of rank 1";
  EXPECT_DOUBLE_EQ(links[1][0].s_per_byte, 1e-10 + 1e-9) << "down from it";
  EXPECT_DOUBLE_EQ(links[0][2].latency_s, 50e-6) << "as slow as the slowest";
  EXPECT_DOUBLE_EQ(links[2][0].s_per_byte, 1e-9);
  EXPECT_EQ(links[1][1].seconds(1e6), 0);
}

TEST(RankProfiles, LinksThroughTheSameAreAveraged) {
  std::vector<RankReport> ranks{rank(0, "A"), rank(1, "A"), rank(2, "A")};
  ranks[0].host = ranks[1].host = "a";
  ranks[2].host = "b";
  std::vector<std::vector<LinkModel>> links(3, std::vector<LinkModel>(3));
  links[0][1] = {1, 10};
  links[1][0] = {3, 30};
  links[0][2] = {100, 1};
  links[2][0] = {200, 2};
  links[1][2] = {300, 3};
  links[2][1] = {400, 6};
  const auto averaged = averaged_links(links, ranks);
  EXPECT_EQ(averaged[0][1].latency_s, 2);
  EXPECT_EQ(averaged[1][0].s_per_byte, 20);
  EXPECT_EQ(averaged[0][2].latency_s, 250);
  EXPECT_EQ(averaged[2][1].s_per_byte, 3);
  EXPECT_EQ(averaged[1][1].latency_s, 0);
  ranks[1].backend = BackendKind::kCuda;
  EXPECT_EQ(averaged_links(links, ranks)[0][1].latency_s, 1) << "another way than back";
}

}  // namespace
}  // namespace llmpq
