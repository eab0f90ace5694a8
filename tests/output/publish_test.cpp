#include "output/publish.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "base/expect_error.hpp"
#include "base/file.hpp"
#include "base/hdf5.hpp"
#include "base/temp_folder.hpp"
#include "output/output_files.hpp"
#include "output/result.hpp"
#include "output/rows.hpp"

namespace llmpq {
namespace {

class Publish : public testing::Test {
 protected:
  static std::vector<std::string> ids(int64_t begin, int64_t count) {
    std::vector<std::string> ids;
    for (int64_t row = begin; row < begin + count; ++row)
      ids.push_back("id-" + std::to_string(row));
    return ids;
  }
  /// Finishes all rows of `head` in a shuffled order and publishes them.
  void run(const JournalHead& head, bool text_as_bytes = false) {
    auto journal = Journal::create(output_, head);
    journal->add_plan(R"({"format": "llmpq-plan-1"})");
    std::vector<std::pair<int64_t, int32_t>> order;
    for (int64_t row = head.rows.begin; row < head.rows.end; ++row) {
      for (int32_t sample = 0; sample < head.num_samples; ++sample) order.emplace_back(row, sample);
    }
    std::ranges::shuffle(order, std::mt19937(5));
    for (size_t i = 0; i < order.size(); ++i) {
      journal->add(sample_row(order[i].first, order[i].second, head.logprobs));
      if (i % 97 == 0) journal->commit();
    }
    publish(output_, std::move(journal), {text_as_bytes, R"({"seconds": 1})", ids});
  }
  void expect_rows(const JournalHead& head) {
    const ResultReader result(output_);
    ASSERT_EQ(result.rows(), head.outputs());
    const auto rows = result.read(0, result.rows());
    const auto got_ids = result.read_ids(0, result.rows());
    for (size_t i = 0; i < rows.size(); ++i) {
      const int64_t row = head.rows.begin + static_cast<int64_t>(i) / head.num_samples;
      const auto sample = static_cast<int32_t>(static_cast<int64_t>(i) % head.num_samples);
      expect_same_row(rows[i], sample_row(row, sample, head.logprobs));
      EXPECT_EQ(got_ids[i], "id-" + std::to_string(row));
    }
  }

  TempFolder folder_;
  std::filesystem::path output_ = folder_ / "out.h5";
};

TEST_F(Publish, RowsComeOutInTheOrderOfThePrompts) {
  const auto head = sample_head(0, 5000);  // more than one window
  run(head);
  expect_rows(head);
  const ResultReader result(output_);
  EXPECT_EQ(result.count_failed(), 714);
  EXPECT_EQ(result.head().job, head.job);
  EXPECT_EQ(result.head().times, R"({"seconds": 1})");
  EXPECT_EQ(result.head().plans, std::vector<std::string>{R"({"format":"llmpq-plan-1"})"});
  EXPECT_FALSE(std::filesystem::exists(OutputPaths(output_).part));
  EXPECT_FALSE(std::filesystem::exists(OutputPaths(output_).result));
}

TEST_F(Publish, SamplesLogprobsAndAPartOfTheRows) {
  const auto head = sample_head(100, 160, 3, 4);
  run(head);
  expect_rows(head);
  const h5::File file = h5::File::open(output_, h5::File::Mode::kRead, Exit::kInternal);
  const auto tokens = file.group("token_ids").dataset("values").rows();
  EXPECT_GT(tokens, 0);
  const h5::Group top = file.group("top_logprobs");
  EXPECT_EQ(top.dataset("token_ids").shape(), (std::vector<int64_t>{tokens, 4}));
  EXPECT_EQ(top.dataset("token_ids").type().text(), "int32");
  EXPECT_EQ(top.dataset("values").type().text(), "float32");
  EXPECT_EQ(file.group("logprobs").dataset("row_splits").rows(), 60 * 3 + 1);
}

TEST_F(Publish, WhatFailsLeavesTheJournalAlone) {
  const auto head = sample_head(0, 1);
  auto journal = Journal::create(output_, head);
  journal->add(sample_row(0, 0, 0));
  const auto no_ids = [](int64_t, int64_t) -> std::vector<std::string> {
    fail(Exit::kOutput, "no room");
  };
  EXPECT_ERROR(publish(output_, std::move(journal), {false, "{}", no_ids}), Exit::kOutput,
               "no room");
  EXPECT_TRUE(std::filesystem::exists(OutputPaths(output_).part));
  EXPECT_FALSE(std::filesystem::exists(OutputPaths(output_).result));
}

TEST_F(Publish, TextAsBytes) {
  const auto head = sample_head(0, 30);
  run(head, true);
  expect_rows(head);
  const h5::File file = h5::File::open(output_, h5::File::Mode::kRead, Exit::kInternal);
  EXPECT_EQ(file.group("text").dataset("values").type().text(), "uint8");
  EXPECT_EQ(file.group("text").dataset("row_splits").type().text(), "int64");
}

TEST_F(Publish, TheLayoutIsTheOneOfTheDesign) {
  run(sample_head(0, 20, 1, 1));
  const h5::File file = h5::File::open(output_, h5::File::Mode::kRead, Exit::kInternal);
  EXPECT_EQ(file.names(),
            (std::vector<std::string>{"completion_tokens", "error", "finish_reason", "id",
                                      "logprobs", "plan_index", "prompt_tokens", "run", "status",
                                      "stop_reason", "text", "token_ids"}));
  for (const char* name : {"completion_tokens", "plan_index", "prompt_tokens"}) {
    EXPECT_EQ(file.dataset(name).type().text(), "int32") << name;
    EXPECT_EQ(file.dataset(name).read<int32_t>(3, 1)[0], -1) << name;  // row 3 is in error
  }
  EXPECT_EQ(file.group("token_ids").dataset("values").type().text(), "int32");
  EXPECT_EQ(file.group("token_ids").dataset("row_splits").type().text(), "int64");
  EXPECT_EQ(file.dataset("status").read_text(2, 2), (std::vector<std::string>{"ok", "failed"}));
  EXPECT_EQ(file.dataset("finish_reason").read_text(2, 2),
            (std::vector<std::string>{"stop", "error"}));
  EXPECT_EQ(file.dataset("stop_reason").read_text(3, 3),
            (std::vector<std::string>{"", "\n\n", ""}));
}

TEST_F(Publish, NoRowsMakeACompleteEmptyOutput) {
  const auto head = sample_head(0, 0);
  run(head);
  expect_rows(head);
  EXPECT_TRUE(is_result(output_));
  const h5::File file = h5::File::open(output_, h5::File::Mode::kRead, Exit::kInternal);
  EXPECT_EQ(file.group("token_ids").dataset("row_splits").read<int64_t>(0, 1)[0], 0);
}

TEST_F(Publish, AnUnfinishedJournalIsNotPublished) {
  auto journal = Journal::create(output_, sample_head(0, 5));
  journal->add(sample_row(0, 0));
  EXPECT_ERROR(publish(output_, std::move(journal), {false, "{}", ids}), Exit::kInternal,
               "output row 1 is not finished: 1 of 5 are");
  EXPECT_TRUE(std::filesystem::exists(OutputPaths(output_).part));
  EXPECT_FALSE(std::filesystem::exists(output_));
}

TEST_F(Publish, TheOldOutputStaysUntilTheNewOneIsComplete) {
  run(sample_head(0, 5));
  auto journal = Journal::create(output_, sample_head(0, 2));
  journal->add(sample_row(0, 0));
  journal->commit();
  EXPECT_EQ(ResultReader(output_).rows(), 5);
  journal->add(sample_row(1, 0));
  publish(output_, std::move(journal), {false, "{}", ids});
  EXPECT_EQ(ResultReader(output_).rows(), 2);
}

TEST_F(Publish, AnOutputIsReopenedWithItsGoodRows) {
  const JournalHead head = sample_head(5, 30, 2, 1);
  run(head);
  const std::string before = read_file(output_, 1 << 20, Exit::kInternal);
  const auto journal = Journal::reopen(output_);
  EXPECT_EQ(journal->head().fingerprint, head.fingerprint);
  EXPECT_EQ(journal->counts().rows, 50);
  EXPECT_EQ(journal->counts().done, 50 - 2 * 3) << "rows 10, 17 and 24 are in error";
  EXPECT_EQ(journal->plans().size(), 1u);
  for (int64_t row = 5; row < 30; ++row) EXPECT_EQ(journal->is_done(row, 1), row % 7 != 3) << row;
  for (int64_t row : {10, 17, 24})
    for (int32_t sample : {0, 1}) journal->add(sample_row(row, sample, 1));
  EXPECT_EQ(read_file(output_, 1 << 20, Exit::kInternal), before);
}

TEST_F(Publish, OtherFilesAreNoResults) {
  EXPECT_FALSE(is_result(output_));
  std::ofstream(output_) << "text";
  EXPECT_FALSE(is_result(output_));
  { h5::File::create(folder_ / "other.h5", false, Exit::kInternal); }
  EXPECT_FALSE(is_result(folder_ / "other.h5"));
  EXPECT_ERROR(ResultReader(folder_ / "other.h5"), Exit::kOutput, "not an output of llmpq");
}

}  // namespace
}  // namespace llmpq
