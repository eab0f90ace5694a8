#include "pipeline/feed.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>

#include "base/hdf5.hpp"
#include "pipeline/io_thread.hpp"

namespace llmpq {
namespace {

class FeedTest : public testing::Test {
 protected:
  void write(const std::vector<std::string>& texts) {
    path_ =
        std::filesystem::temp_directory_path() / ("llmpq-feed-" + std::to_string(getpid()) + ".h5");
    h5::File file = h5::File::create(path_, false, Exit::kPrompts);
    file.create_dataset("prompt", {h5::text_type(), 64, {}})
        .write_text(0, std::span<const std::string>(texts));
  }
  void TearDown() override { std::filesystem::remove(path_); }

  FeedSetup setup(int64_t rows) const {
    FeedSetup setup;
    setup.rows = {0, rows};
    setup.max_model_len = 16;
    setup.vocab = tokenizer_.vocab_size();
    setup.defaults.max_tokens = 4;
    return setup;
  }

  std::filesystem::path path_;
  Tokenizer tokenizer_ = Tokenizer::load(std::string(LLMPQ_DATA) + "/tiny/tokenizer.json");
};

TEST_F(FeedTest, MakesRequestsAndRowsInError) {
  write({"one two", "", "bad \xff", " a b c d e f g h i j k l m n o p q r s t u v w"});
  const PromptsFile prompts = PromptsFile::open(path_);
  FeedSetup two_samples = setup(4);
  two_samples.num_samples = 2;
  Feed feed(prompts, &tokenizer_, two_samples);
  const FeedBatch batch = feed.read(100);
  EXPECT_TRUE(feed.at_end());
  ASSERT_EQ(batch.requests.size(), 2u);
  EXPECT_EQ(batch.requests[1].sample, 1);
  EXPECT_EQ(batch.requests[1].prompt, tokenizer_.encode("one two"));
  EXPECT_EQ(batch.requests[0].row_seed, batch.requests[1].row_seed);
  ASSERT_EQ(batch.failed.size(), 6u);
  EXPECT_EQ(batch.failed[0].error, "the prompt is empty");
  EXPECT_NE(batch.failed[2].error.find("UTF-8"), std::string::npos);
  EXPECT_NE(batch.failed[4].error.find("--truncate-prompt"), std::string::npos);
}

TEST_F(FeedTest, WhatIsDoneIsNotRead) {
  write({"a", "b", "c", "d"});
  const PromptsFile prompts = PromptsFile::open(path_);
  FeedSetup resumed = setup(4);
  resumed.num_samples = 2;
  resumed.is_done = [](int64_t row, int32_t sample) {
    return row < 2 || (row == 3 && sample == 1);
  };
  Feed feed(prompts, &tokenizer_, resumed);
  const FeedBatch batch = feed.read(4);
  EXPECT_TRUE(feed.at_end()) << "rows 2 and 3 are the first two that are read";
  ASSERT_EQ(batch.requests.size(), 3u);
  EXPECT_EQ(batch.requests[0].row, 2);
  EXPECT_EQ(batch.requests[2].row, 3);
  EXPECT_EQ(batch.requests[2].sample, 0);
}

TEST_F(FeedTest, ManySamplesMakeFewerRowsAtOnce) {
  write({"a", "b", "c", "d"});
  const PromptsFile prompts = PromptsFile::open(path_);
  FeedSetup many = setup(4);
  many.num_samples = 3;
  Feed feed(prompts, &tokenizer_, many);
  EXPECT_EQ(feed.read(7).requests.size(), 6u) << "two rows";
  EXPECT_EQ(feed.read(1).requests.size(), 3u) << "one row at least";
  EXPECT_EQ(feed.read(12).requests.size(), 3u) << "the last one";
}

TEST_F(FeedTest, TruncatesTheSideAskedForAndLeavesRoomForTheOutput) {
  const std::string text = " a b c d e f g h i j k l m n o p q r s t u v w";
  write({text});
  const PromptsFile prompts = PromptsFile::open(path_);
  const auto all = tokenizer_.encode(text);
  ASSERT_GT(all.size(), 16u);
  for (const TruncateSide side : {TruncateSide::kLeft, TruncateSide::kRight}) {
    FeedSetup cut = setup(1);
    cut.truncate = side;
    const FeedBatch batch = Feed(prompts, &tokenizer_, cut).read(1);
    ASSERT_EQ(batch.requests.size(), 1u);
    const bool left = side == TruncateSide::kLeft;
    EXPECT_EQ(batch.requests[0].prompt, left ? std::vector<int32_t>(all.end() - 12, all.end())
                                             : std::vector<int32_t>(all.begin(), all.begin() + 12));
    EXPECT_EQ(batch.requests[0].sampling.max_tokens, 4);
  }
}

TEST_F(FeedTest, ChatRowsAreRenderedAndGetNoSpecialTokens) {
  write({"one", "refused"});
  const PromptsFile prompts = PromptsFile::open(path_);
  FeedSetup chat = setup(2);
  chat.chat = [](std::string_view messages) {
    CHECK(messages != "refused", Exit::kPrompts, "the chat template refuses the messages");
    return "<" + std::string(messages) + ">";
  };
  const FeedBatch batch = Feed(prompts, &tokenizer_, chat).read(2);
  ASSERT_EQ(batch.requests.size(), 1u);
  EXPECT_EQ(batch.requests[0].prompt, tokenizer_.encode("<one>", false));
  ASSERT_EQ(batch.failed.size(), 1u);
  EXPECT_EQ(batch.failed[0].error, "the chat template refuses the messages");
}

TEST_F(FeedTest, CutsMaxTokensToTheContext) {
  write({"one two"});
  FeedSetup long_output = setup(1);
  long_output.defaults.max_tokens = 1000;
  const PromptsFile prompts = PromptsFile::open(path_);
  const FeedBatch batch = Feed(prompts, &tokenizer_, long_output).read(1);
  const auto tokens = static_cast<int32_t>(tokenizer_.encode("one two").size());
  EXPECT_EQ(batch.requests.at(0).sampling.max_tokens, 16 - tokens);
}

TEST_F(FeedTest, LeavesOutRowsThatAreDone) {
  write({"one", "two", "three"});
  FeedSetup resumed = setup(3);
  resumed.is_done = [](int64_t row, int32_t) { return row == 1; };
  const PromptsFile prompts = PromptsFile::open(path_);
  const FeedBatch batch = Feed(prompts, &tokenizer_, resumed).read(3);
  ASSERT_EQ(batch.requests.size(), 2u);
  EXPECT_EQ(batch.requests[1].row, 2);
}

TEST_F(FeedTest, MeasuresLengths) {
  write({"one", "one two three", "bad \xff"});
  const PromptsFile prompts = PromptsFile::open(path_);
  const auto lengths = measure_lengths(prompts, &tokenizer_, setup(3), 100);
  const auto longest = static_cast<int64_t>(tokenizer_.encode("one two three").size());
  EXPECT_EQ(lengths.rows, 3);
  EXPECT_EQ(lengths.longest_prompt, longest);
  EXPECT_EQ(lengths.longest_sequence, longest + 4);
  EXPECT_EQ(measure_lengths(prompts, &tokenizer_, setup(3), 2).longest_sequence, 16)
      << "rows that were not looked at may be as long as the context";
}

class ListSink : public RowSink {
 public:
  void add(FinishedRow row) override { rows.push_back(std::move(row)); }
  void commit() override { committed = rows.size(); }
  std::vector<FinishedRow> rows;
  size_t committed = 0;
};

class BrokenSink : public RowSink {
 public:
  void add(FinishedRow) override { fail(Exit::kOutput, "the disk is full"); }
  void commit() override {}
};

TEST_F(FeedTest, IoThreadReadsAheadAndCommitsAllRows) {
  write(std::vector<std::string>(200, "one"));
  const PromptsFile prompts = PromptsFile::open(path_);
  Feed feed(prompts, &tokenizer_, setup(200));
  ListSink sink;
  Bell bell;
  IoThread io(feed, sink, 50, bell);
  int64_t taken = 0;
  while (!io.exhausted()) {
    auto request = io.take();
    if (!request) {
      bell.wait(std::chrono::milliseconds(10));
      continue;
    }
    EXPECT_EQ(request->row, taken++);
    io.add(failed_row(request->row, 0, "no"));
  }
  io.close();
  EXPECT_EQ(taken, 200);
  EXPECT_EQ(sink.committed, 200u);
  EXPECT_EQ(io.committed().rows, 200);
  EXPECT_EQ(io.committed().failed, 200);
}

TEST_F(FeedTest, IoThreadHandsOnWhatTheSinkThrows) {
  write({"one", ""});
  const PromptsFile prompts = PromptsFile::open(path_);
  Feed feed(prompts, &tokenizer_, setup(2));
  BrokenSink sink;
  Bell bell;
  IoThread io(feed, sink, 50, bell);
  io.add(failed_row(0, 0, "no"));  // the thread may be closed before it has read a row by itself
  try {
    io.close();
    FAIL() << "the failure was lost";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kOutput);
    EXPECT_STREQ(error.what(), "the disk is full");
  }
}

}  // namespace
}  // namespace llmpq
