#include "plan/adapted_bits.hpp"

#include <algorithm>
#include <cmath>

namespace llmpq {
namespace {

/// No time counts: only that there is a kernel.
void forget_seconds(ProblemKind& kind) {
  for (LayerSeconds* table : {&kind.prefill_s, &kind.decode_s})
    for (auto& of_class : *table)
      for (auto& of_format : of_class)
        for (double& seconds : of_format)
          if (!std::isnan(seconds)) seconds = 0;
}

Batching without_time(const Batching& row) {
  Batching result;
  result.mix = Mix::kInterleaved;
  result.prefill = row.prefill;
  result.decode = row.decode;
  result.in_flight = 1;
  result.kv_bytes_per_layer = row.kv_bytes_per_layer;
  result.workspace_bytes = row.workspace_bytes;
  result.first_bytes = row.first_bytes;
  result.last_bytes = row.last_bytes;
  result.shared_bytes = row.shared_bytes;
  return result;
}

}  // namespace

std::optional<Assignment> adapted_bits(const Problem& problem, const OptimizeOptions& options) {
  Problem memory = problem;
  memory.theta = 1;
  memory.max_omega.reset();
  for (ProblemKind& kind : memory.kinds) forget_seconds(kind);
  for (Batching& row : memory.batchings) row = without_time(row);
  const Optimum optimum = optimize(memory, options);
  if (optimum.status != OptimizeStatus::kFound) return std::nullopt;
  return optimum.assignment;
}

std::vector<int> formats_of_layers(const Problem& problem, const Assignment& assignment) {
  std::vector<int> formats(static_cast<size_t>(problem.layers));
  for (const AssignedStage& stage : assignment.stages)
    std::copy(stage.formats.begin(), stage.formats.end(), formats.begin() + stage.begin);
  return formats;
}

}  // namespace llmpq
