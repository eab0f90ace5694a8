// The ways to cut the work into steps that a plan may choose from: mix, prefill chunk, decode batch
// and lanes, and what each does to the time (coefficients of evaluate.hpp) and to the KV cache.
#pragma once

#include <functional>
#include <vector>

#include "plan/problem.hpp"
#include "plan/sizes.hpp"
#include "plan/work.hpp"

namespace llmpq {

/// A column of decode_s: a step of so many decode rows; mixed ones have a chunk in a share of them.
struct DecodeColumn {
  int64_t decode_batch = 0;
  double decode_rows = 0;  ///< on average
  double chunk_rows = 0, chunk_share = 0;
  bool operator==(const DecodeColumn&) const = default;
};

/// Coefficients, columns and KV blocks of one choice; bytes are for make_problem() to fill in.
struct BatchChoice {
  MicroBatches sizes;
  Batching row;
  double kv_blocks = 0;
};

struct BatchChoices {
  std::vector<int64_t> prefill_tokens;  ///< columns of prefill_s
  std::vector<DecodeColumn> decode;     ///< columns of decode_s
  std::vector<BatchChoice> list;
};

/// All choices for a number of ranks, within the wishes. Interleaved and mixed ones only where the
/// work is two fillings of the lanes or more: with less there is nothing to overlap.
BatchChoices batch_choices(const Work& work, const PlanWishes& wishes, int ranks);

/// Seconds of one layer for a chunk and for a decode step, on an average device.
struct StepPair {
  double chunk_s = 0, step_s = 0;
};

/// What interleaved choices wait for, which depends on how long chunks are (`seconds` of two
/// columns): chunk_rounds, in which the lanes queue behind a chunk through all stages (none where
/// chunks are shorter than decode steps); and a share more of everything where neither the devices'
/// load nor the lanes' way around is much longer than the other, so that each waits for the other
/// at times.
void set_waiting(BatchChoices& choices, int ranks,
                 const std::function<StepPair(int prefill, int decode)>& seconds);

}  // namespace llmpq
