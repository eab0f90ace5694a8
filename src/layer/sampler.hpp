// What the next token of a sequence depends on besides its logits: options, counts of the tokens so
// far, the number of the draw. Used by the last stage, which passes it on to Ops::sample. The
// README of this room tells the order of the choice's steps and why. What needs text (stop strings,
// the end of a row) is rank 0's.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "input/sampling.hpp"
#include "kernels/ops.hpp"
#include "layer/random.hpp"

namespace llmpq {

struct SampledToken {
  int32_t token = 0;
  float logprob = 0;  ///< natural log of the raw distribution at `token`; 0 unless logprobs > 0
  std::vector<int32_t> top_ids;  ///< the K likeliest, likeliest first; empty unless logprobs K > 1
  std::vector<float> top_logprobs;
};

/// What SampleArgs points to, for the sequences of a step that choose a token, one after the other.
struct SampleRequests {
  std::vector<SampleRow> rows;
  std::vector<TokenCount> counted;
  std::vector<int32_t> masked;
};

/// What the last stage remembers of a sequence. It is fed every token of the sequence once, in
/// order; after a preemption a fresh one is fed them all again and goes on with the same tokens.
class SequenceSampler {
 public:
  /// Rows at positions from `prompt_tokens` on are output.
  SequenceSampler(uint64_t row_seed, int32_t sample, int32_t prompt_tokens,
                  const Sampling& sampling, std::span<const int32_t> eos_token_ids, int64_t vocab);

  /// Tokens that entered the model, the first at `position`, which follows the last one fed.
  void feed(std::span<const int32_t> tokens, int64_t position);

  /// Appends the row that chooses the token after those fed so far, with the tokens that it counts
  /// (none without penalties) and masks (only while fewer than min_tokens came).
  void add_request(SampleRequests& requests) const;

 private:
  uint64_t row_seed_;
  int32_t sample_;
  int32_t prompt_tokens_;
  int64_t vocab_;
  Sampling sampling_;             ///< stop strings left out
  std::vector<int32_t> endings_;  ///< ids that may not come before min_tokens, ascending
  int64_t next_position_ = 0;
  bool counts_needed_;
  std::vector<TokenCount> counts_;  ///< of each token seen, by ascending id; prompt only: 0
};

}  // namespace llmpq
