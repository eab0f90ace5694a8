// From rows of the prompts file to requests: reads a window, tokenizes, checks lengths. A row that
// cannot be run becomes a finished row in error. Used by the I/O thread of rank 0.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "input/prompts.hpp"
#include "input/tokenizer.hpp"
#include "pipeline/request.hpp"
#include "pipeline/row_sink.hpp"

namespace llmpq {

enum class TruncateSide : uint8_t { kNone, kLeft, kRight };

struct FeedSetup {
  RowRangeOfFile rows;
  int32_t num_samples = 1;
  uint64_t job_seed = 0;
  Sampling defaults;
  int64_t max_model_len = 0;
  int64_t vocab = 0;
  TruncateSide truncate = TruncateSide::kNone;
  /// Makes the prompt of a row of chat messages; empty = texts are prompts. Error(kPrompts) is the
  /// row's.
  std::function<std::string(std::string_view messages)> chat;
  /// Rows that are done already (resume); empty = none are.
  std::function<bool(int64_t row, int32_t sample)> is_done;
};

/// What one read of the file gave.
struct FeedBatch {
  std::vector<Request> requests;
  std::vector<FinishedRow> failed;
};

/// Where requests come from, in order: rows of a file, or made up (made_feed.hpp). Used by one
/// thread.
class RequestSource {
 public:
  virtual ~RequestSource() = default;
  virtual bool at_end() const = 0;
  /// The requests of the next `max_rows` rows; of fewer where each has many samples, whose requests
  /// all hold the prompt.
  virtual FeedBatch read(int64_t max_rows) = 0;
};

/// Adds the prompt's samples to the batch: as requests, or as finished rows in error. `tokenizer`
/// may be null if the prompt has token ids.
void add_requests(Prompt& prompt, const std::vector<int32_t>& samples, const Tokenizer* tokenizer,
                  const FeedSetup& setup, FeedBatch& batch);

class Feed final : public RequestSource {
 public:
  /// `tokenizer` may be null if the file holds token ids.
  Feed(const PromptsFile& prompts, const Tokenizer* tokenizer, const FeedSetup& setup);

  bool at_end() const override { return next_row_ >= setup_.rows.end; }
  FeedBatch read(int64_t max_rows) override;

 private:
  std::vector<int32_t> samples_left(int64_t row) const;

  const PromptsFile& prompts_;
  const Tokenizer* tokenizer_;
  FeedSetup setup_;
  int64_t next_row_;
};

/// A row that was looked at.
struct RowLength {
  int64_t prompt = 0, max_tokens = 0;  ///< tokens
  bool ignore_eos = false;             ///< its output has max_tokens for sure
  int64_t row = 0;                     ///< of the file
};

/// What the planner wants to know of a dataset, in tokens. Rows that cannot run are left out.
struct WorkloadLengths {
  int64_t rows = 0;  ///< of the selection, all counted
  int64_t longest_prompt = 0;
  int64_t longest_sequence = 0;  ///< prompt and max_tokens of one row, as far as the context goes
  double mean_prompt = 0;
  std::vector<RowLength> seen;  ///< in the file's order: all rows, or the sample
};
/// Reads and tokenizes all rows up to `sample` of them, or so many evenly spread ones; in that case
/// longest_sequence is the context, since a row that was not seen may be the longest.
WorkloadLengths measure_lengths(const PromptsFile& prompts, const Tokenizer* tokenizer,
                                const FeedSetup& setup, int64_t sample);

}  // namespace llmpq
