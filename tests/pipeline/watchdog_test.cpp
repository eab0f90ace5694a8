// Three ranks whose links are queues and whose clock is a number.
#include "pipeline/watchdog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <deque>

namespace llmpq {
namespace {

using testing::HasSubstr;
using Mail = std::deque<std::vector<std::byte>>;

class MailOut : public LinkOut {
 public:
  explicit MailOut(Mail& mail) : mail_(mail) {}
  void start(std::vector<std::byte> message) override { mail_.push_back(std::move(message)); }
  int finish() override { return 0; }

 private:
  Mail& mail_;
};

class MailIn : public LinkIn {
 public:
  explicit MailIn(Mail& mail) : mail_(mail) {}
  void post() override {}
  std::optional<std::vector<std::byte>> take() override {
    if (mail_.empty()) return std::nullopt;
    auto message = std::move(mail_.front());
    mail_.pop_front();
    return message;
  }
  int under_way() const override { return 0; }

 private:
  Mail& mail_;
};

class WatchdogTest : public testing::Test {
 protected:
  WatchdogTest() {
    for (int rank = 0; rank < 3; ++rank) {
      WatchLinks links;
      links.in = std::make_unique<MailIn>(mail_[rank]);
      for (int to : rank == 0 ? std::vector{1, 2} : std::vector{0})
        links.out.push_back(std::make_unique<MailOut>(mail_[to]));
      dogs_.push_back(std::make_unique<Watchdog>(
          WatchSetup{.rank = rank, .hosts = {"a", "b", "c"}, .timeout_s = 10, .grace_s = 60},
          std::move(links), 0.0));
    }
  }

  /// All ranks but `stopped` look around every 0.1 s until `end_s`; the first sentence, if any.
  std::string run_until(double end_s, int stopped = -1) {
    for (; now_s_ < end_s; now_s_ += 0.1)
      for (int rank = 0; rank < 3; ++rank) {
        if (rank == stopped) continue;
        const auto lost =
            dogs_[static_cast<size_t>(rank)]->poll(now_s_, activities_[rank], signals_[rank]);
        if (lost) return "rank " + std::to_string(rank) + " says: " + *lost;
      }
    return "";
  }
  Stop stop_of(size_t rank) const { return dogs_[rank]->stop(); }

  Mail mail_[3];
  std::vector<std::unique_ptr<Watchdog>> dogs_;
  Activity activities_[3];
  SignalsSeen signals_[3];
  double now_s_ = 0;
};

TEST_F(WatchdogTest, ThoseWhoAnswerLive) {
  EXPECT_EQ(run_until(100), "");
  for (const Mail& mail : mail_) EXPECT_LE(mail.size(), 2u) << "read as fast as it is written";
}

TEST_F(WatchdogTest, ASilentRankIsNamedWithHostStageAndStep) {
  dogs_[0]->set_stages({-1, 1, 0});
  activities_[1].steps_done = 17;
  ASSERT_EQ(run_until(5), "");
  EXPECT_THAT(run_until(60, 1), HasSubstr("rank 0 says: rank 1 on b, stage 1, step 17: no sign of "
                                          "life for 10 s (--timeout)"));
  EXPECT_NEAR(now_s_, 15, 1.5);
}

TEST_F(WatchdogTest, ASilentRank0IsNoticedByTheOthers) {
  ASSERT_EQ(run_until(5), "");
  EXPECT_THAT(run_until(60, 0),
              HasSubstr("rank 1 says: rank 0 on a, before the plan was made: no sign of life"));
}

TEST_F(WatchdogTest, AJobThatWasStoppedAsAWholeGoesOn) {
  ASSERT_EQ(run_until(5), "");
  now_s_ += 1000;
  EXPECT_EQ(run_until(1020), "");
}

TEST_F(WatchdogTest, ASignalOnAnyRankIsKnownToAll) {
  ASSERT_EQ(run_until(5), "");
  signals_[2] = {SIGUSR1, 5, 5};
  ASSERT_EQ(run_until(5.5), "");
  for (size_t rank = 0; rank < 3; ++rank) EXPECT_EQ(stop_of(rank), Stop::kDrain) << rank;
  EXPECT_EQ(dogs_[0]->asked(), "SIGUSR1 on rank 2 on c");
  signals_[1] = {SIGUSR1, 5.6, 5.6};
  ASSERT_EQ(run_until(20), "");
  EXPECT_EQ(stop_of(0), Stop::kDrain) << "a copy on another rank";
  signals_[1] = {SIGUSR1, 5.6, 20};
  ASSERT_EQ(run_until(20.5), "");
  for (size_t rank = 0; rank < 3; ++rank) EXPECT_EQ(stop_of(rank), Stop::kNow) << rank;
}

TEST_F(WatchdogTest, Rank0HearsOfARankThatFailsAndOfTheEndByMpirun) {
  ASSERT_EQ(run_until(5), "");
  EXPECT_FALSE(dogs_[0]->failed());
  EXPECT_FALSE(dogs_[0]->is_end());
  dogs_[2]->tell_failed(now_s_, Exit::kGpu);
  signals_[1] = {SIGTERM, 5, 5, true};
  ASSERT_EQ(run_until(5.5), "");
  ASSERT_TRUE(dogs_[0]->failed());
  EXPECT_EQ(dogs_[0]->failed()->rank, 2);
  EXPECT_EQ(dogs_[0]->failed()->code, Exit::kGpu);
  EXPECT_TRUE(dogs_[0]->is_end());
}

TEST_F(WatchdogTest, BlamesTheFirstStageThatHasNotComputedAStep) {
  dogs_[0]->set_stages({0, 2, 1});
  activities_[0] = {9, -1};
  activities_[2] = {7, 12};
  activities_[1] = {7, -1};
  ASSERT_EQ(run_until(5), "");
  EXPECT_EQ(dogs_[0]->blame(7, {0, 2, 1}), "rank 2 on c, stage 1, step 7, has computed for 12 s");
  activities_[2] = {8, -1};
  ASSERT_EQ(run_until(10), "");
  EXPECT_EQ(dogs_[0]->blame(7, {0, 2, 1}), "rank 1 on b, stage 2, step 7, waits for its input");
}

TEST(StopRequests, CountCopiesOnceAndLaterSignalsAsUrgent) {
  StopRequests requests(60);
  EXPECT_EQ(requests.at(100), Stop::kNo);
  requests.add(100, 100.2);
  EXPECT_EQ(requests.at(100.3), Stop::kDrain);
  requests.add(100.9, 101);
  EXPECT_EQ(requests.at(110), Stop::kDrain);
  EXPECT_EQ(requests.at(160.5), Stop::kNow) << "the grace is over";
  requests.add(100, 101.5);
  EXPECT_EQ(requests.at(110), Stop::kNow);
}

TEST(StopRequests, AFirstSignalThatIsHeardOfLateIsStillTheFirst) {
  StopRequests requests(60);
  requests.add(100.8, 100.8);
  requests.add(100, 100);
  EXPECT_EQ(requests.at(101), Stop::kDrain);
}

}  // namespace
}  // namespace llmpq
