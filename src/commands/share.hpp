// A rank's share of a plan: loading it, and running it until rank 0 has ended the work. Used by
// generate and eval.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mpi.hpp"
#include "commands/prepare.hpp"
#include "pipeline/activity.hpp"
#include "pipeline/conductor.hpp"
#include "pipeline/queue.hpp"
#include "pipeline/worker.hpp"
#include "profile/links.hpp"
#include "stage/host_memory.hpp"
#include "stage/stage.hpp"

namespace llmpq {

/// The stage of this rank, if the plan gives it one.
struct Share {
  std::unique_ptr<Context> context;
  std::optional<Stage> stage;
  std::optional<StageClock> clock;      ///< of an emulated device
  size_t index = 0;                     ///< of the stage in its pipeline
  LinkChoice link;                      ///< what carries activations between the stages
  std::vector<std::string> arithmetic;  ///< arithmetic_class() by rank; empty without a stage
  double load_s = 0;
  HostMemory memory;  ///< foreseen of a stage on a CPU; else 0
};

/// What a share is made of.
struct ShareSetup {
  const Job& job;
  const Input& input;
  const Machines& machines;
  const Plan& plan;
  std::function<void()> before_layer = {};  ///< see StageSetup
};

/// Reads, rounds and packs this rank's layers and connects it to its neighbours. Collective.
/// Error(kModel), (kNoPlan), or (kUsage) for a --link or an --emulate that cannot be.
Share load_share(const Mpi& mpi, const ShareSetup& setup);

/// What a rank needs to run besides its share.
struct RunSetup {
  Bell& bell;                      ///< rings when the rank's own threads have something
  Conductor* conductor = nullptr;  ///< rank 0's
  /// Called some ten times a second with what the stage is at; may be empty.
  std::function<void(const Activity&)> tick;
  Timeline* timeline = nullptr;  ///< where to write what was done when; may be null
  /// Called with the exit code before a failure ends all ranks; may be empty.
  std::function<void(Exit)> on_error = {};
};

/// Returns when the conductor has ended the work and all of it is done. Collective. A failure ends
/// all ranks, as in or_abort(), with the stage in the sentence if it was computing.
void run_share(const Mpi& mpi, Share& share, const Plan& plan, const RunSetup& setup);

/// Runs `work`, in which other ranks may be waited for; if it throws, prints rank, host and the
/// sentence and ends all ranks with the error's exit code. `on_error` is called between; may be
/// empty.
void or_abort(const Mpi& mpi, const std::function<void()>& work,
              const std::function<void(Exit)>& on_error = {});

}  // namespace llmpq
