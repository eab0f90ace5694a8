// What an assignment of layers costs by the formulas of the problem file: the plain version that
// is obviously right. The optimizer judges every plan it finds by this; tests hold it against
// tests/plan/plan_check.py.
#pragma once

#include <string>
#include <vector>

#include "plan/problem.hpp"

namespace llmpq {

struct AssignedStage {
  int rank = 0;
  int begin = 0, end = 0;    ///< layers
  std::vector<int> formats;  ///< one index for each layer
};

/// A plan in the problem's own numbers: which row of `batchings`, and stages in pipeline order.
struct Assignment {
  int batching = 0;
  std::vector<AssignedStage> stages;
};

/// [layers] the format of each.
std::vector<int> formats_of_layers(const Problem& problem, const Assignment& assignment);

struct StageScore {
  double prefill_s = 0, decode_s = 0;  ///< of one chunk and one decode step
  double bytes = 0;
};

struct Score {
  double time_s = 0, omega = 0;
  double objective = 0;  ///< time_s + theta x omega
  std::vector<StageScore> stages;
};

/// With TP, TD the slowest stage or link and SP, SD the sums over stages (and links if `in_sum`):
///   separated    prefill_sum SP + decode_sum SD + prefill_max TP + decode_max TD
///                + rounds max(in_flight TD, SD)
///   interleaved  prefill_sum SP + decode_sum SD + max(LOAD, chunk_rounds SP + (rounds -
///   and mixed    chunk_rounds) SD), LOAD = the largest prefill_max p + (decode_max + rounds
///                in_flight) d of a stage or link
/// The assignment must have stages that follow each other and formats with kernels; whether it
/// keeps the other rules is for broken_rule() to say.
Score evaluate(const Problem& problem, const Assignment& assignment);

/// Seconds of a chunk and of a decode step: first of the stages, then of the links between them.
struct StepTimes {
  std::vector<double> prefill_s, decode_s;
  double prefill_sum = 0, decode_sum = 0;  ///< with links if they count
};
StepTimes step_times(const Problem& problem, const Assignment& assignment,
                     const std::vector<StageScore>& stages);

/// Seconds that a stage computes in the whole job instead of those of one step.
StageScore busy_of(const Batching& batching, const StageScore& stage);

/// The rule that an assignment breaks, as a sentence; "" if it keeps all: every layer once and in
/// order, a kernel for each, a rank once and in `order`, memory, and the bound on omega.
std::string broken_rule(const Problem& problem, const Assignment& assignment);

}  // namespace llmpq
