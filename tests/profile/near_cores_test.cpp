#include "profile/near_cores.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace llmpq {
namespace {

using testing::ElementsAre;

std::vector<Core> cores(int count) {
  std::vector<Core> list;
  for (int i = 0; i < count; ++i) list.push_back({i, i + count});
  return list;
}

TEST(NearCores, PartsAreEvenAndCoverAll) {
  EXPECT_THAT(part_of(cores(5), 0, 2), ElementsAre(Core{0, 5}, Core{1, 6}));
  EXPECT_THAT(part_of(cores(5), 1, 2), ElementsAre(Core{2, 7}, Core{3, 8}, Core{4, 9}));
  EXPECT_EQ(part_of(cores(3), 0, 1), cores(3));
  EXPECT_EQ(part_of(cores(2), 2, 3), cores(2)) << "too few to divide";
}

TEST(NearCores, BindingHoldsForThreadsThatStartLater) {
  const std::vector<int> all = allowed_cpus();
  ASSERT_FALSE(all.empty());
  std::thread([&] {
    bind_to({{all.back()}});
    EXPECT_THAT(allowed_cpus(), ElementsAre(all.back()));
    std::vector<int> later;
    std::thread([&] { later = allowed_cpus(); }).join();
    EXPECT_THAT(later, ElementsAre(all.back()));
    EXPECT_TRUE(all.size() == 1 || is_bound());
  }).join();
  EXPECT_EQ(allowed_cpus(), all);
}

TEST(NearCores, ADeviceThatIsNotThereIsTold) {
  try {
    cores_near("ffff:1f:00.0");
    FAIL() << "no error";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("ffff:1f:00.0"));
  }
  EXPECT_THROW(bind_to({}), std::runtime_error);
}

}  // namespace
}  // namespace llmpq
