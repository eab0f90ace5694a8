// A plan as people read it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plan/solve.hpp"

namespace llmpq {

/// Bytes of one stage by what they are for; all of one rank's budget but the margin may be used.
struct StageMemory {
  int rank = 0;
  int64_t weights = 0;  ///< decoder layers with scales
  int64_t kv_cache = 0;
  int64_t workspace = 0;
  int64_t embedding = 0;  ///< the first stage's
  int64_t head = 0;       ///< the last stage's
  int64_t budget = 0;     ///< of the rank, margin taken off

  int64_t total() const { return weights + kv_cache + workspace + embedding + head; }
  bool fits() const { return total() <= budget; }
};

/// Bytes of every stage of the first pipeline: exactly what the stages will allocate.
std::vector<StageMemory> predict_memory(const PlanRequest& request, const Plan& plan);

/// Formats run by run: "bf16 x3, w4 x5".
std::string run_lengths(std::span<const Format> formats);

/// The table of a plan: a line per stage (rank, layers, formats, bytes by use, budget), the sizes
/// and the ranks that idle.
std::string describe(const PlanRequest& request, const Plan& plan);

}  // namespace llmpq
