// LLM-PQ's planner (arXiv 2403.01136): one phase after the other, as many lanes as devices, and its
// objective, which counts the slowest stage alone once the pipeline is full.
#pragma once

#include <vector>

#include "plan/planners.hpp"

namespace llmpq {

/// The problem as LLM-PQ sees it, and which batching of ours each of its rows is. With mu_p, mu_d
/// micro-batches and mu_n tokens out its objective is sum Tp + (mu_p - 1) max Tp + sum Td
/// + (mu_d - 1) (mu_n - 1) max Td + theta sum omega. Its mu_d is the number of devices; rows with
/// as many lanes are kept, or those with the most lanes below. With one lane its formula counts no
/// step but the first; here each counts then.
struct LlmPqProblem {
  Problem problem;  ///< without batchings where none is separated
  std::vector<int> batching;
};
LlmPqProblem llm_pq_problem(const Problem& problem);

/// The objective solved by optimize(), to its gap.
Planned llm_pq_plan(const Problem& problem, const OptimizeOptions& options);

/// The original's way around its integer program: from the plans of adabits_plan(), layers and bits
/// are moved from the slowest stage to others (bit_transfer) as long as the objective falls.
Planned transfer_plan(const Problem& problem, const OptimizeOptions& options);

}  // namespace llmpq
