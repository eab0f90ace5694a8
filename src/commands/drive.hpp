// Rank 0's part of a generate run: the prompts in, the rows out, progress told. Used by generate.
#pragma once

#include <optional>

#include "commands/output_job.hpp"
#include "commands/prepare.hpp"
#include "commands/share.hpp"
#include "commands/watch.hpp"
#include "pipeline/driver.hpp"
#include "schedule/simulate.hpp"

namespace llmpq {

struct DriveSetup {
  const Job& job;
  const Input& input;
  const Plan& plan;
  const std::optional<SimulationResult>& predicted;
  Journal& journal;
  Watch& watch;
  std::optional<double> slurm_end_s;  ///< since 1970
  Timeline* timeline = nullptr;       ///< may be null
};

/// Returns when all rows are done and committed, or when a stop was asked for and what was finished
/// by then is. Collective: the other ranks call run_share(). A failure ends all ranks.
Driven drive(const Mpi& mpi, Share& share, const DriveSetup& setup);

}  // namespace llmpq
