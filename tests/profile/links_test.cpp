#include "profile/links.hpp"

#include <gtest/gtest.h>

#include "base/expect_error.hpp"

namespace llmpq {
namespace {

LinkedStage gpu(int rank, const std::string& uuid) { return {rank, BackendKind::kCuda, uuid, ""}; }
LinkedStage cpu(int rank) { return {rank, BackendKind::kCpu, "", "a CPU's memory is the host's"}; }

TEST(ChooseLink, NcclBetweenDifferentGpus) {
  const LinkChoice choice = choose_link(LinkWish::kAuto, {gpu(0, "a"), gpu(1, "b"), gpu(2, "a")});
  EXPECT_EQ(choice.kind, LinkKind::kNccl) << "only neighbours must differ";
  EXPECT_EQ(choice.reason, "each stage has a GPU of its own");
  EXPECT_EQ(choose_link(LinkWish::kNccl, {gpu(0, "a"), gpu(1, "b")}).kind, LinkKind::kNccl);
}

TEST(ChooseLink, MpiWhereNcclCannotBe) {
  const auto choose = [](const std::vector<LinkedStage>& stages) {
    const LinkChoice choice = choose_link(LinkWish::kAuto, stages);
    EXPECT_EQ(choice.kind, LinkKind::kMpi);
    return choice.reason;
  };
  EXPECT_EQ(choose({gpu(0, "a"), cpu(3)}), "rank 3 computes on its CPU");
  EXPECT_EQ(choose({gpu(0, "a"), gpu(2, "a")}), "ranks 0 and 2 share the GPU a");
  EXPECT_EQ(choose({gpu(0, "a")}), "a single stage sends nothing");
  LinkedStage without = gpu(1, "b");
  without.why_no_links = "no NCCL in this build";
  EXPECT_EQ(choose({gpu(0, "a"), without}), "rank 1: no NCCL in this build");
}

TEST(ChooseLink, WishesHoldOrAreRefused) {
  const LinkChoice mpi = choose_link(LinkWish::kMpi, {gpu(0, "a"), gpu(1, "b")});
  EXPECT_EQ(mpi.kind, LinkKind::kMpi);
  EXPECT_EQ(mpi.reason, "as --link says");
  EXPECT_ERROR(choose_link(LinkWish::kNccl, {gpu(0, "a"), cpu(1)}), Exit::kUsage,
               "--link nccl: rank 1 computes on its CPU; take --link auto or mpi");
  EXPECT_ERROR(choose_link(LinkWish::kNccl, {cpu(0)}), Exit::kUsage, "rank 0 computes on its CPU");
  EXPECT_ERROR(choose_link(LinkWish::kNccl, {gpu(0, "a"), gpu(1, "a")}), Exit::kUsage,
               "share the GPU a");
  EXPECT_EQ(choose_link(LinkWish::kNccl, {gpu(0, "a")}).kind, LinkKind::kMpi)
      << "one stage has nobody to send to";
}

}  // namespace
}  // namespace llmpq
