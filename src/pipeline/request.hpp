// One sample of one prompt on rank 0: from its tokens to its text. Whatever needs text or the
// request is decided here: ending tokens, stop strings, the length limit, UTF-8.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "input/sampling.hpp"
#include "input/tokenizer.hpp"
#include "pipeline/row_sink.hpp"

namespace llmpq {

/// A prompt that is ready for the scheduler.
struct Request {
  int64_t row = 0;
  int32_t sample = 0;
  std::vector<int32_t> prompt;  ///< at least one token
  Sampling sampling;            ///< max_tokens cut to what the context leaves
  uint64_t row_seed = 0;
};

/// A token as it came back from the last stage.
struct ChosenToken {
  int32_t token = 0;  ///< -1: no logit was finite
  float logprob = 0;
  std::span<const int32_t> top_ids;
  std::span<const float> top_logprobs;
};

/// Finds the first stop string in a growing text.
class StopFinder {
 public:
  explicit StopFinder(std::vector<std::string> stops);
  struct Match {
    size_t position;  ///< where the stop string begins
    const std::string* stop;
  };
  /// The earliest match that ends in text[old_size, size), or nothing. Of several that begin at the
  /// same place the first of the list wins.
  std::optional<Match> find(const std::string& text, size_t old_size) const;

 private:
  std::vector<std::string> stops_;
};

class RunningRequest {
 public:
  /// `tokenizer` may be null (a model without one, prompts as token ids): then the text is empty.
  RunningRequest(Request request, const Tokenizer* tokenizer,
                 std::span<const int32_t> eos_token_ids);

  /// Takes the next token; true = the request is finished with it.
  bool push(const ChosenToken& chosen);
  /// The finished row. Call once, after push() returned true.
  FinishedRow finish(int32_t plan_index);

  const Request& request() const { return request_; }

 private:
  bool ends_with(int32_t token);
  bool stops_in_text();
  void append(const ChosenToken& chosen);

  Request request_;
  const Tokenizer* tokenizer_;
  std::unique_ptr<IncrementalDecoder> decoder_;
  std::vector<int32_t> eos_;
  StopFinder stops_;
  FinishedRow row_;
  size_t searched_ = 0;  ///< bytes of the text in which no stop string ends
};

/// The finished row of a prompt that cannot be run.
FinishedRow failed_row(int64_t row, int32_t sample, std::string sentence);

}  // namespace llmpq
