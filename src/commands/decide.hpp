// Which plan a job runs: one from a file, or what its strategy finds. Used by generate, plan,
// bench, eval.
#pragma once

#include <optional>

#include "commands/prepare.hpp"
#include "plan/joint.hpp"

namespace llmpq {

struct Decision {
  Plan plan;
  /// On rank 0, where times are known: what the plan promises. Its events and finish_s are empty.
  std::optional<SimulationResult> predicted;
  /// On rank 0, where times made the plan: with the problem that it solves.
  std::optional<JointPlan> solution;
};

/// Rank 0 reads or makes the plan, logs and saves it; every rank gets it. Integers of a checkpoint
/// keep their format (stored_formats.hpp). Strategies measure devices where that pays
/// (planning_data.hpp); plans of files and strategy manual are predicted by
/// what is known already.
/// Collective. Error(kUsage), (kNoPlan), (kModel).
Decision decide(const Mpi& mpi, const Job& job, const Input& input, const Machines& machines);

}  // namespace llmpq
