// Micro-batches and KV blocks: the sizes that a plan needs beside its layers, chosen where the user
// leaves them open.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/solve.hpp"

namespace llmpq {

struct MicroBatches {
  Mix mix = Mix::kInterleaved;
  int32_t prefill_tokens = 0, decode_batch = 0, lanes = 0;
  bool operator==(const MicroBatches&) const = default;
};

/// Choices in order of preference: the wishes, and where they leave sizes open the usual ones, then
/// half of them, and so on down to a decode batch of one: each needs less workspace.
std::vector<MicroBatches> choose_micro_batches(const PlanRequest& request, int64_t stages);

/// Blocks for the longest sequence alone: with fewer the job cannot run.
int64_t least_kv_blocks(const PlanRequest& request);
/// Blocks beyond which the workload uses none: for every place in a lane, and (unless separated)
/// one batch more that is prefilled ahead, a sequence of full length.
int64_t useful_kv_blocks(const PlanRequest& request, const MicroBatches& batches);

}  // namespace llmpq
