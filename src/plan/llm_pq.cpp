#include "plan/llm_pq.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "plan/baselines.hpp"
#include "plan/bit_transfer.hpp"

namespace llmpq {
namespace {

constexpr const char* kNoRows = "LLM-PQ runs prefill before decode, and no batching is separated";

/// The most lanes of a separated batching that are not above `devices`; else the fewest; 0: none.
double lanes_for(const Problem& problem, int devices) {
  double below = 0, above = 0;
  for (const Batching& row : problem.batchings) {
    if (row.mix != Mix::kSeparated) continue;
    if (row.in_flight <= devices)
      below = std::max(below, row.in_flight);
    else
      above = above == 0 ? row.in_flight : std::min(above, row.in_flight);
  }
  return below > 0 ? below : above;
}

/// decode_sum counts waves, and rounds + decode_sum is (mu_n - 1) for each.
Batching original_row(Batching row) {
  const double steps = row.rounds + row.decode_sum;
  row.decode_max = row.in_flight > 1 ? (row.in_flight - 1) * steps : row.rounds;
  row.rounds = 0;
  row.chunk_rounds = 0;
  return row;
}

/// In our formula, with the original's objective in the note.
Planned in_our_terms(const Problem& problem, const LlmPqProblem& original, Assignment assignment,
                     const std::string& how) {
  const double theirs = evaluate(original.problem, assignment).objective;
  assignment.batching = original.batching.at(static_cast<size_t>(assignment.batching));
  Planned planned{.assignment = assignment, .score = evaluate(problem, assignment)};
  planned.found = true;
  planned.note = fmt::format("{}; its own objective {:.6g} s", how, theirs);
  return planned;
}

}  // namespace

LlmPqProblem llm_pq_problem(const Problem& problem) {
  LlmPqProblem original{problem, {}};
  original.problem.batchings.clear();
  const double lanes = lanes_for(problem, problem.devices());
  for (size_t i = 0; i < problem.batchings.size(); ++i) {
    const Batching& row = problem.batchings[i];
    if (row.mix != Mix::kSeparated || row.in_flight != lanes) continue;
    original.problem.batchings.push_back(original_row(row));
    original.batching.push_back(static_cast<int>(i));
  }
  return original;
}

Planned llm_pq_plan(const Problem& problem, const OptimizeOptions& options) {
  const LlmPqProblem original = llm_pq_problem(problem);
  if (original.batching.empty()) return {.note = kNoRows};
  const Optimum optimum = optimize(original.problem, options);
  if (optimum.status == OptimizeStatus::kInfeasible)
    return {.note = "it is proven that no plan keeps the rules"};
  if (optimum.status == OptimizeStatus::kNothingFound) return {.note = "nothing was found in time"};
  return in_our_terms(problem, original, optimum.assignment,
                      fmt::format("gap {:.2f} %", 100 * optimum.gap()));
}

Planned transfer_plan(const Problem& problem, const OptimizeOptions& options) {
  const LlmPqProblem original = llm_pq_problem(problem);
  if (original.batching.empty()) return {.note = kNoRows};
  BestOf best(original.problem);
  int moves = 0;
  const bool all = for_each_adapted(original.problem, options, [&](const Assignment& adapted) {
    const Transferred moved = transfer_bits(original.problem, adapted);
    if (evaluate(original.problem, moved.assignment).objective < best.objective())
      moves = moved.moves;
    best.offer(moved.assignment);
    return best.objective();
  });
  const Planned planned = best.take("");
  if (!planned.found)
    return {.note = all ? "no formats keep the rules" : "nothing was found in time"};
  return in_our_terms(
      problem, original, planned.assignment,
      fmt::format("{} moves{}", moves,
                  all ? "" : " (the time was over before all batchings were tried)"));
}

}  // namespace llmpq
