#include "profile/bind.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/expect_error.hpp"

namespace llmpq {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kGiB = int64_t{1} << 30;

DeviceInfo gpu(const std::string& uuid) {
  DeviceInfo info;
  info.name = "NVIDIA Test";
  info.uuid = "GPU-" + uuid;
  return info;
}

RankSight sight(int rank, const std::string& host, const std::vector<std::string>& uuids,
                BackendWish wish = BackendWish::kAuto) {
  RankSight sight{.rank = rank, .host = host, .wish = wish, .gpus = {}, .why_none = {}};
  if (uuids.empty()) sight.why_none = "there is no driver";
  for (const std::string& uuid : uuids) sight.gpus.push_back(gpu(uuid));
  return sight;
}

std::vector<int> gpus(const std::vector<RankBinding>& bindings) {
  std::vector<int> indices;
  for (const RankBinding& binding : bindings) {
    EXPECT_EQ(binding.gpu >= 0, binding.kind == BackendKind::kCuda);
    indices.push_back(binding.gpu);
  }
  return indices;
}

TEST(Bind, RanksOfAHostTakeItsGpusInTurn) {
  const auto bound = bind_ranks({sight(0, "a", {"1", "2"}), sight(1, "a", {"1", "2"}),
                                 sight(2, "b", {"3", "4"}), sight(3, "b", {"3", "4"})},
                                false);
  EXPECT_THAT(gpus(bound), ElementsAre(0, 1, 0, 1));
  EXPECT_EQ(bound[0].sharers, 1);
}

TEST(Bind, RanksOfHostsMayAlternate) {
  EXPECT_THAT(gpus(bind_ranks({sight(0, "a", {"1", "2"}), sight(1, "b", {"3", "4"}),
                               sight(2, "a", {"1", "2"}), sight(3, "b", {"3", "4"})},
                              false)),
              ElementsAre(0, 0, 1, 1));
}

TEST(Bind, TheOnlyGpuThatSlurmShowsIsTheRanksOwn) {
  EXPECT_THAT(
      gpus(bind_ranks({sight(0, "a", {"1"}), sight(1, "a", {"2"}), sight(2, "a", {"3"})}, false)),
      ElementsAre(0, 0, 0));
}

TEST(Bind, TwoRanksOnOneGpuAreAnErrorThatNamesThem) {
  const std::vector<RankSight> ranks{sight(0, "a", {"1"}), sight(1, "a", {"1"})};
  try {
    bind_ranks(ranks, false);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kGpu);
    EXPECT_THAT(
        error.what(),
        AllOf(HasSubstr("ranks 0 and 1 on a would compute on one GPU, NVIDIA Test (GPU-1)"),
              HasSubstr("2 ranks there want a GPU, rank 1 sees 1"), HasSubstr("--gpus-per-task=1"),
              HasSubstr("--share-gpu"), HasSubstr("--backend cpu")));
  }
  const auto shared = bind_ranks(ranks, true);
  EXPECT_THAT(gpus(shared), ElementsAre(0, 0));
  EXPECT_EQ(shared[1].sharers, 2);
}

TEST(Bind, MoreRanksThanGpusShareInTurn) {
  const std::vector<RankSight> ranks{sight(0, "a", {"1", "2"}), sight(1, "a", {"1", "2"}),
                                     sight(2, "a", {"1", "2"})};
  EXPECT_ERROR(bind_ranks(ranks, false), Exit::kGpu, "ranks 0 and 2 on a");
  const auto shared = bind_ranks(ranks, true);
  EXPECT_THAT(gpus(shared), ElementsAre(0, 1, 0));
  EXPECT_EQ(shared[0].sharers, 2);
  EXPECT_EQ(shared[1].sharers, 1);
}

TEST(Bind, OverlappingListsAreToldByUuid) {
  // Rank 1 sees another list, whose first GPU is rank 0's.
  EXPECT_ERROR(bind_ranks({sight(0, "a", {"1", "2"}), sight(1, "a", {"1"})}, false), Exit::kGpu,
               "ranks 0 and 1 on a");
  EXPECT_THAT(gpus(bind_ranks({sight(0, "a", {"1", "2"}), sight(1, "a", {"2", "1"})}, false)),
              ElementsAre(0, 0));
}

TEST(Bind, OneGpuSeenUnderTwoHostNamesIsStillOne) {
  EXPECT_ERROR(bind_ranks({sight(0, "a", {"1"}), sight(1, "b", {"1"})}, false), Exit::kGpu,
               "on a and b");
}

TEST(Bind, AutoTakesTheCpuOnlyWhereThereIsNoGpu) {
  const auto bound = bind_ranks({sight(0, "a", {"1"}), sight(1, "b", {})}, false);
  EXPECT_THAT(gpus(bound), ElementsAre(0, -1));
  EXPECT_EQ(bound[1].kind, BackendKind::kCpu);
}

TEST(Bind, CpuRanksTakeNoTurn) {
  EXPECT_THAT(gpus(bind_ranks({sight(0, "a", {}, BackendWish::kCpu), sight(1, "a", {"1"}),
                               sight(2, "a", {}, BackendWish::kCpu)},
                              false)),
              ElementsAre(-1, 0, -1));
}

TEST(Bind, CudaWithoutAGpuIsAnError) {
  EXPECT_ERROR(bind_ranks({sight(0, "a", {"1"}), sight(1, "b", {}, BackendWish::kCuda)}, false),
               Exit::kGpu,
               "--backend cuda: rank 1 on b has no GPU: there is no driver; compute there with "
               "--backend cpu");
}

TEST(Bind, ExplainsWhichRanksComputeOnWhatAndWhy) {
  std::vector<RankSight> ranks{sight(0, "a", {"1"}), sight(1, "b", {}), sight(2, "b", {}),
                               sight(3, "c", {}, BackendWish::kCpu)};
  std::vector<std::string> texts;
  for (const BindingLine& line : explain(ranks, bind_ranks(ranks, false))) {
    EXPECT_FALSE(line.is_warning);
    texts.push_back(line.text);
  }
  EXPECT_THAT(texts, testing::UnorderedElementsAre("rank 0: CUDA, each on its own GPU",
                                                   "ranks 1-2: the CPU: there is no driver",
                                                   "rank 3: the CPU: as --backend says"));
}

TEST(Bind, AGpuThatIsLeftUnusedIsAWarning) {
  std::vector<RankSight> ranks{sight(0, "a", {})};
  ranks[0].gpu_on_bus = true;
  const auto lines = explain(ranks, bind_ranks(ranks, false));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(lines[0].is_warning);
  EXPECT_THAT(lines[0].text, HasSubstr("there is an NVIDIA GPU in the machine"));
}

TEST(Bind, SharesOfAGpuLeaveAMarginForEachRank) {
  EXPECT_EQ(gpu_share(140 * kGiB, 150 * kGiB, 1), 137 * kGiB);
  EXPECT_EQ(gpu_share(140 * kGiB, 150 * kGiB, 2), 67 * kGiB);
  EXPECT_EQ(gpu_share(4 * kGiB, 6 * kGiB, 1), 4 * kGiB - kGiB / 4) << "at least 256 MiB";
  EXPECT_EQ(gpu_share(kGiB, 80 * kGiB, 1), 0);
}

TEST(Bind, RanksAsText) {
  EXPECT_EQ(ranks_text({3}), "rank 3");
  EXPECT_EQ(ranks_text({0, 1, 2, 5, 7, 8}), "ranks 0-2,5,7-8");
  EXPECT_EQ(ranges_text({}), "");
}

TEST(Bind, ValuesForEachRank) {
  EXPECT_THAT(for_each_rank<int>({7}, 3, "--x"), ElementsAre(7, 7, 7));
  EXPECT_THAT(for_each_rank<int>({7, 8}, 2, "--x"), ElementsAre(7, 8));
  EXPECT_THAT(for_each_rank<int>({}, 2, "--x"), ElementsAre(0, 0));
  EXPECT_ERROR(for_each_rank<int>({1, 2, 3}, 2, "--x"), Exit::kUsage,
               "--x: there are 3 values for 2 ranks: give one for all, or one for each");
}

}  // namespace
}  // namespace llmpq
