// Finished rows with known content, for tests of the output room.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "output/journal_file.hpp"
#include "pipeline/row_sink.hpp"

namespace llmpq {

/// Content that follows from row and sample: lengths from nothing to some hundred tokens, UTF-8,
/// every 7th row in error. `logprobs` as in JournalHead.
inline FinishedRow sample_row(int64_t row, int32_t sample, int32_t logprobs = 0) {
  FinishedRow made;
  made.row = row;
  made.sample = sample;
  if (row % 7 == 3) {
    made.finish_reason = FinishReason::kError;
    made.error = "row " + std::to_string(row) + " has no prompt";
    made.prompt_tokens = made.plan_index = -1;
    return made;
  }
  const auto tokens = static_cast<size_t>(row * 31 + sample * 17) % 300;
  made.finish_reason = row % 2 == 0 ? FinishReason::kStop : FinishReason::kLength;
  if (row % 2 == 0) made.stop_reason = row % 4 == 0 ? "\n\n" : "2";
  made.prompt_tokens = static_cast<int32_t>(row % 50 + 1);
  for (size_t i = 0; i < tokens; ++i) {
    made.token_ids.push_back(
        static_cast<int32_t>(row * 1000 + sample * 100 + static_cast<int64_t>(i)));
    made.text += i % 5 == 0 ? "ż" : "a";
    if (logprobs > 0) made.logprobs.push_back(-static_cast<float>(i) / 8);
    for (int32_t k = 0; k < (logprobs > 1 ? logprobs : 0); ++k) {
      made.top_token_ids.push_back(k);
      made.top_logprobs.push_back(-static_cast<float>(k) - static_cast<float>(row));
    }
  }
  return made;
}

inline void expect_same_row(const FinishedRow& got, const FinishedRow& want) {
  SCOPED_TRACE("row " + std::to_string(want.row) + " sample " + std::to_string(want.sample));
  EXPECT_EQ(got.row, want.row);
  EXPECT_EQ(got.sample, want.sample);
  EXPECT_EQ(got.finish_reason, want.finish_reason);
  EXPECT_EQ(got.stop_reason, want.stop_reason);
  EXPECT_EQ(got.error, want.error);
  EXPECT_EQ(got.text, want.text);
  EXPECT_EQ(got.token_ids, want.token_ids);
  EXPECT_EQ(got.prompt_tokens, want.prompt_tokens);
  EXPECT_EQ(got.plan_index, want.plan_index);
  EXPECT_EQ(got.logprobs, want.logprobs);
  EXPECT_EQ(got.top_token_ids, want.top_token_ids);
  EXPECT_EQ(got.top_logprobs, want.top_logprobs);
}

inline JournalHead sample_head(int64_t begin, int64_t end, int32_t samples = 1,
                               int32_t logprobs = 0) {
  JournalHead head;
  head.rows = {begin, end};
  head.num_samples = samples;
  head.logprobs = logprobs;
  head.job = R"({"model": "tiny"})";
  head.profile = "{}";
  head.versions = R"({"llmpq": "test"})";
  head.fingerprint = R"({"prompts": "1234"})";
  return head;
}

}  // namespace llmpq
