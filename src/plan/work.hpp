// A job's sequences in the sums that the planner computes with: how many tokens, how many keys
// they look at, how many KV blocks they hold.
#pragma once

#include <cstdint>
#include <span>

namespace llmpq {

/// One sequence, or `count` alike, in tokens.
struct SequenceLength {
  int64_t prompt = 0, output = 0;  ///< the output as it is expected
  int64_t count = 1;
  int64_t most_output = 0;  ///< that it may have, which KV blocks must hold; 0: no more than that
};

struct Work {
  double sequences = 0;
  double prefill_rows = 0;       ///< tokens of all prompts
  double decode_rows = 0;        ///< an output of n tokens takes n - 1 decode rows
  double blocks = 0;             ///< KV blocks of all sequences at their ends
  double most_blocks = 0;        ///< of one
  int64_t longest_sequence = 0;  ///< tokens
  double prompt() const { return prefill_rows / sequences; }
  double rounds() const { return decode_rows / sequences; }  ///< decode steps of a sequence
};

/// Keys that the rows look at in a layer with a window (0: none), over all sequences.
struct WorkKeys {
  double prefill = 0, decode = 0;
};

/// Error(kUsage) without a sequence, or with one that has no tokens.
Work work_of(std::span<const SequenceLength> lengths, int64_t kv_block_tokens);
WorkKeys keys_of(std::span<const SequenceLength> lengths, int64_t window);

}  // namespace llmpq
