// What the planner must know beside the model and the ranks' memory: how fast the ranks and their
// links are, and how long the prompts and outputs. Measured only where it pays. Used by decide.
#pragma once

#include <optional>

#include "commands/prepare.hpp"
#include "commands/profiles.hpp"
#include "plan/make_problem.hpp"

namespace llmpq {

/// Prompts as they are, outputs as they are expected: --expected-output-tokens, or max_tokens where
/// the row ignores the ending token, else half of it. Of a sample each row stands for several.
std::vector<SequenceLength> sequence_lengths(const Job& job, const WorkloadLengths& lengths);

/// A rough guess at the run's seconds, for deciding whether to measure: weights times tokens over
/// what the ranks' devices usually reach.
double guessed_seconds(const ModelConfig& config, const std::vector<RankReport>& inventory,
                       const std::vector<SequenceLength>& lengths);

/// Seconds that measuring new devices may take for such a run, 0: it does not pay.
/// --profile-seconds if given; else 30 if that is at most a twentieth of the run; else 2, likewise,
/// or where speeds are asked about (a wish for quality, a strategy of earlier systems, --explain,
/// --sweep, --save-problem, --save-profile, emulated devices); else 0.
double profile_budget(const Job& job, double run_s);

/// Quality (quality_wish.hpp); profiles of --profile, or kept ones, or measured within the budget;
/// and the links. Nothing, for a reason that is logged, where nothing is known and measuring does
/// not pay, or the job has no prompts. Lengths are rank 0's. With kNever only what is known counts,
/// and nothing is logged. Collective.
std::optional<PlanningData> find_planning_data(const Mpi& mpi, const Job& job, const Input& input,
                                               const Machines& machines, Measuring measuring);

}  // namespace llmpq
