#include "base/mpi.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "mpi_test_main.hpp"

namespace llmpq {
namespace {

TEST(Mpi, TellsRanksAndHost) {
  const Mpi& mpi = test_mpi();
  EXPECT_GE(mpi.rank(), 0);
  EXPECT_LT(mpi.rank(), mpi.size());
  EXPECT_EQ(mpi.node_rank(), mpi.rank());  // one host here
  EXPECT_EQ(mpi.node_size(), mpi.size());
  EXPECT_FALSE(mpi.host().empty());
}

TEST(Mpi, BroadcastGivesEveryRankTheRootsText) {
  const Mpi& mpi = test_mpi();
  const int root = mpi.size() - 1;
  const std::string text = "from rank " + std::to_string(mpi.rank()) + std::string(100000, 'x');
  const std::string got = mpi.broadcast(text, root);
  EXPECT_EQ(got, "from rank " + std::to_string(root) + std::string(100000, 'x'));
  EXPECT_EQ(mpi.broadcast(mpi.rank() == 0 ? "" : "not empty"), "");

  std::vector<std::byte> bytes;
  if (mpi.rank() == 0) bytes.assign(77, std::byte{42});
  mpi.broadcast(bytes);
  EXPECT_EQ(bytes, std::vector<std::byte>(77, std::byte{42}));
}

TEST(Mpi, GatherKeepsTheOrderOfRanksAndEmptyTexts) {
  const Mpi& mpi = test_mpi();
  const std::string mine = std::string(static_cast<size_t>(mpi.rank()), 'r');
  std::vector<std::string> want;
  for (int rank = 0; rank < mpi.size(); ++rank) want.emplace_back(static_cast<size_t>(rank), 'r');
  EXPECT_EQ(mpi.all_gather(mine), want);
  const auto gathered = mpi.gather(mine);
  EXPECT_EQ(gathered, mpi.rank() == 0 ? want : std::vector<std::string>{});
}

TEST(Mpi, MaxIsTheLargestOfTheRanks) {
  EXPECT_EQ(test_mpi().max(test_mpi().rank()), test_mpi().size() - 1);
}

TEST(Mpi, AgreeThrowsTheLowestRanksErrorEverywhere) {
  const Mpi& mpi = test_mpi();
  mpi.agree(std::nullopt);
  std::optional<Error> mine;
  if (mpi.rank() >= mpi.size() / 2) {
    mine = Error(Exit::kModel, "rank " + std::to_string(mpi.rank()) + " has no model");
  }
  try {
    mpi.agree(mine);
    FAIL() << "agree() did not throw";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kModel);
    EXPECT_EQ(std::string(error.what()),
              "rank " + std::to_string(mpi.size() / 2) + " has no model");
  }
}

TEST(Mpi, AgreedTurnsOtherExceptionsIntoInternalErrors) {
  const Mpi& mpi = test_mpi();
  EXPECT_NO_THROW(mpi.agreed([] {}));
  try {
    mpi.agreed([&] {
      if (mpi.rank() == mpi.size() - 1) throw std::out_of_range("the last rank's");
    });
    FAIL() << "agreed() did not throw";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kInternal);
    EXPECT_STREQ(error.what(), "the last rank's");
  }
}

TEST(Mpi, AFailedCallThrowsWithMpisText) {
  try {
    test_mpi().broadcast("x", test_mpi().size() + 5);
    FAIL() << "a broadcast from a rank that is not there did not throw";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kMpi);
    EXPECT_THAT(error.what(), testing::HasSubstr("MPI_Ibcast failed: MPI_ERR_ROOT"));
  }
}

TEST(Mpi, RanksThatWaitLookAroundAndSoDoThoseWithLongWork) {
  Mpi& mpi = test_mpi();
  int looks = 0;
  mpi.while_waiting([&] { ++looks; });
  const auto owner = std::this_thread::get_id();
  mpi.agreed_on_long([&] {
    if (mpi.rank() > 0) return;
    EXPECT_NE(std::this_thread::get_id(), owner);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  });
  mpi.while_waiting({});
  EXPECT_GE(looks, 5) << "some 50 a second at rank 0, more where nothing is done";
}

TEST(Mpi, LongWorkIsAgreedOn) {
  const Mpi& mpi = test_mpi();
  try {
    mpi.agreed_on_long(
        [&] { CHECK(mpi.rank() != mpi.size() - 1, Exit::kModel, "the last rank has no model"); });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kModel);
    EXPECT_STREQ(error.what(), "the last rank has no model");
  }
}

}  // namespace
}  // namespace llmpq
