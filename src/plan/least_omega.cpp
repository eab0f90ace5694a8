#include "plan/least_omega.hpp"

#include <algorithm>
#include <cmath>

#include "plan/narrow_problem.hpp"

namespace llmpq {
namespace {

/// Whether every kernel that the columns of `other` have is there for those of `row`.
bool has_kernels_of(const Problem& problem, const Batching& row, const Batching& other) {
  const auto missing = [](const std::vector<double>& seconds, int column) {
    return std::isnan(seconds[static_cast<size_t>(column)]);
  };
  for (const ProblemKind& kind : problem.kinds)
    for (size_t c = 0; c < kind.prefill_s.size(); ++c)
      for (size_t f = 0; f < kind.prefill_s[c].size(); ++f) {
        const auto &chunks = kind.prefill_s[c][f], &steps = kind.decode_s[c][f];
        if (missing(chunks, other.prefill) || missing(steps, other.decode)) continue;
        if (missing(chunks, row.prefill) || missing(steps, row.decode)) return false;
      }
  return true;
}

/// Whether a plan that fits with `other` fits with `row` too.
bool needs_no_more(const Problem& problem, const Batching& row, const Batching& other) {
  for (size_t c = 0; c < row.kv_bytes_per_layer.size(); ++c)
    if (row.kv_bytes_per_layer[c] > other.kv_bytes_per_layer[c]) return false;
  return row.workspace_bytes <= other.workspace_bytes && row.first_bytes <= other.first_bytes &&
         row.last_bytes <= other.last_bytes && row.shared_bytes >= other.shared_bytes &&
         has_kernels_of(problem, row, other);
}

/// Times do not count: one row for all that need no less memory.
FewerBatchings smallest_rows(const Problem& problem) {
  std::vector<const Batching*> kept;
  for (const Batching& row : problem.batchings) {
    const auto beats = [&](const Batching* other) { return needs_no_more(problem, *other, row); };
    if (std::any_of(kept.begin(), kept.end(), beats)) continue;
    std::erase_if(kept, [&](const Batching* other) { return needs_no_more(problem, row, *other); });
    kept.push_back(&row);
  }
  return with_batchings(problem, [&](const Batching& row) {
    return std::find(kept.begin(), kept.end(), &row) != kept.end();
  });
}

/// What has a kernel takes no time.
void clear_times(Problem& problem) {
  const auto clear = [](double& seconds) {
    if (!std::isnan(seconds)) seconds = 0;
  };
  for (ProblemKind& kind : problem.kinds) {
    for (LayerSeconds* table : {&kind.prefill_s, &kind.decode_s})
      for (auto& of_class : *table)
        for (auto& of_format : of_class) std::for_each(of_format.begin(), of_format.end(), clear);
    for (auto* list :
         {&kind.embed_prefill_s, &kind.head_prefill_s, &kind.embed_decode_s, &kind.head_decode_s})
      std::for_each(list->begin(), list->end(), clear);
  }
  for (auto* table : {&problem.links.latency_s, &problem.links.s_per_byte})
    for (auto& row : *table) std::fill(row.begin(), row.end(), 0);
}

}  // namespace

Optimum least_omega(const Problem& problem, const OptimizeOptions& options) {
  auto [smallest, rows] = smallest_rows(problem);
  clear_times(smallest);
  smallest.theta = 1;
  smallest.max_omega.reset();
  Optimum optimum = optimize(smallest, options);
  if (optimum.status == OptimizeStatus::kFound)
    optimum.assignment.batching = rows.at(static_cast<size_t>(optimum.assignment.batching));
  return optimum;
}

}  // namespace llmpq
