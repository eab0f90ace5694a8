// Plans of all planners side by side, at the same limits on quality.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/planners.hpp"

namespace llmpq {

struct ComparedPlan {
  Planned planned;
  std::optional<double> simulated_s;  ///< of the whole job; only where somebody simulated it
};

struct Comparison {
  std::vector<ComparedPlan> plans;
  std::optional<double> output_tokens;  ///< of the whole job; a problem file does not say
};

/// Every planner on the problem, the optimizer first.
Comparison compare(const Problem& problem, const OptimizeOptions& options);

/// Weights' bits of a layer on average, scales left out; nothing if a format's name is not one of
/// ours.
std::optional<double> average_bits(const Problem& problem, const Assignment& assignment);

/// A row for each planner: time by formula (and simulated), tokens/s, how much longer than the
/// first, bits, omega, memory, how far above the proven bound; and a line on how it was found.
std::string describe(const Problem& problem, const Comparison& comparison);

/// {problem, theta, max_omega, lower_bound, output_tokens, plans: [{strategy, found, note, solve_s,
/// time_s, ..., stages}]}; a number that is not known is null.
std::string to_json(const Problem& problem, const Comparison& comparison);

}  // namespace llmpq
