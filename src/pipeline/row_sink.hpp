// Where finished rows go. The pipeline declares it, commands/ makes one out of output/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace llmpq {

enum class FinishReason : uint8_t { kStop, kLength, kError };

/// One sample of one prompt, finished. Output row = (row - first row) * num_samples + sample.
struct FinishedRow {
  int64_t row = 0;     ///< index in the prompts file
  int32_t sample = 0;  ///< 0 .. num_samples - 1
  FinishReason finish_reason = FinishReason::kStop;
  std::string stop_reason;  ///< the stop string, or the stopping token's id as text; else empty
  std::string error;        ///< a sentence; empty for good rows
  std::string text;         ///< valid UTF-8 without U+0000
  std::vector<int32_t> token_ids;      ///< every generated token, the stopping one included
  int32_t prompt_tokens = 0;           ///< special tokens counted; -1 for rows in error
  int32_t plan_index = 0;              ///< which of /run/plans made the row; -1 for rows in error
  std::vector<float> logprobs;         ///< [tokens] if asked for: natural log, raw distribution
  std::vector<int32_t> top_token_ids;  ///< [tokens, K] if K > 1
  std::vector<float> top_logprobs;     ///< [tokens, K] if K > 1
};

/// Takes finished rows in completion order. Called from one thread (the HDF5 thread of rank 0).
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual void add(FinishedRow row) = 0;
  /// Makes all rows added so far survive a kill. Called at least every second while rows come.
  virtual void commit() = 0;
};

}  // namespace llmpq
