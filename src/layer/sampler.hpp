// Chooses the next token of a sequence from its logits: masks, penalties, temperature, the three
// cuts, the draw, the logprob. Used by the last stage. The README of this room tells the order of
// the operations and why. What needs text (stop strings, the end of a row) is rank 0's.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "input/sampling.hpp"
#include "layer/random.hpp"

namespace llmpq {

struct SampledToken {
  int32_t token = 0;
  float logprob = 0;  ///< natural log of the raw distribution at `token`; 0 unless logprobs > 0
  std::vector<int32_t> top_ids;  ///< the K likeliest, likeliest first; empty unless logprobs K > 1
  std::vector<float> top_logprobs;
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

  /// The token after those fed so far. `logits` [vocab] are overwritten; one that is not finite is
  /// never chosen. Error(kInternal) if none is finite.
  SampledToken choose(std::span<float> logits) const;

 private:
  void mask_endings(std::span<float> logits) const;
  void penalize(std::span<float> logits) const;
  void cut(std::span<float> logits, float max) const;
  int32_t draw(std::span<const float> weights) const;
  void add_logprobs(std::span<const float> raw, float max, SampledToken& chosen) const;

  uint64_t row_seed_;
  int32_t sample_;
  int32_t prompt_tokens_;
  int64_t vocab_;
  Sampling sampling_;             ///< stop strings left out
  std::vector<int32_t> endings_;  ///< ids that may not come before min_tokens
  int64_t next_position_ = 0;
  bool counts_needed_;
  std::unordered_map<int32_t, int32_t> output_counts_;  ///< of each token seen; prompt only: 0
};

}  // namespace llmpq
