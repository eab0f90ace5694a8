// Which plan a job runs: one from a file, or what its strategy finds. Used by generate, plan, eval.
#pragma once

#include <optional>

#include "commands/prepare.hpp"
#include "schedule/simulate.hpp"

namespace llmpq {

struct Decision {
  Plan plan;
  /// On rank 0, where times are known: what the plan promises. Its events and finish_s are empty.
  std::optional<SimulationResult> predicted;
};

/// Rank 0 reads or makes the plan, logs and saves it; every rank gets it. Strategy joint measures
/// devices where that pays (planning_data.hpp); other plans are predicted by what is known already.
/// Collective. Error(kUsage), (kNoPlan), (kModel).
Decision decide(const Mpi& mpi, const Job& job, const Input& input, const Machines& machines);

}  // namespace llmpq
