#include "commands/rows_left.hpp"

#include <gtest/gtest.h>

#include "base/temp_folder.hpp"
#include "output/rows.hpp"

namespace llmpq {
namespace {

/// Ten rows of two samples; rows 0 to 5 are done, and of row 6 one sample.
class RowsLeft : public testing::Test {
 protected:
  RowsLeft() : journal_(Journal::create(folder_ / "out.h5", sample_head(0, 10, 2))) {
    for (int64_t row = 0; row < 6; ++row) {
      add(row, 0);
      add(row, 1);
    }
    add(6, 1);
    journal_->commit();
  }

  void add(int64_t row, int32_t sample) {
    FinishedRow each = sample_row(row, sample);
    if (each.finish_reason != FinishReason::kError)
      tokens_ += static_cast<int64_t>(each.token_ids.size());
    journal_->add(std::move(each));
  }

  static WorkloadLengths seen(std::initializer_list<int64_t> rows) {
    WorkloadLengths lengths;
    lengths.rows = 10;
    lengths.longest_sequence = 77;
    for (const int64_t row : rows) lengths.seen.push_back({10 * row, 5, false, row});
    return lengths;
  }

  TempFolder folder_;
  std::unique_ptr<Journal> journal_;
  int64_t tokens_ = 0;
};

TEST_F(RowsLeft, ARowWithASampleToDoIsLeft) {
  const WorkloadLengths left = lengths_left(seen({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}), *journal_);
  EXPECT_EQ(left.rows, 4);  // of seven results
  ASSERT_EQ(left.seen.size(), 4u);
  EXPECT_EQ(left.seen.front().row, 6);
  EXPECT_EQ(left.seen.front().prompt, 60);
  EXPECT_EQ(left.longest_sequence, 77);
}

TEST_F(RowsLeft, ASampleOfDoneRowsStandsForTheRest) {
  const WorkloadLengths left = lengths_left(seen({1, 3}), *journal_);
  EXPECT_EQ(left.rows, 4);
  EXPECT_EQ(left.seen.size(), 2u);
}

TEST_F(RowsLeft, OutputsAreExpectedAsTheyWere) {
  const JournalCounts counts = journal_->counts();
  const double good = static_cast<double>(counts.done - counts.failed);
  EXPECT_EQ(counts.output_tokens, tokens_);
  EXPECT_NEAR(static_cast<double>(*mean_output(counts)), static_cast<double>(tokens_) / good, 0.5);
  EXPECT_EQ(mean_output({.rows = 5, .done = 2, .failed = 2, .output_tokens = 0}), std::nullopt);
}

}  // namespace
}  // namespace llmpq
