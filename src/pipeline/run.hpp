// The loop of a rank's MPI thread: polls its worker and, on rank 0, the conductor, and sleeps when
// there is nothing to move, so that it never takes a core from computing.
#pragma once

#include <functional>

#include "pipeline/conductor.hpp"
#include "pipeline/queue.hpp"
#include "pipeline/worker.hpp"

namespace llmpq {

/// Returns when all work is done. `worker` is null on a rank without a stage, `driver` everywhere
/// but on rank 0. `alone`: there is no other rank. `tick` (may be empty) is called some ten times a
/// second with what the worker is at. Throws what they throw.
void run_loop(Worker* worker, Conductor* conductor, Bell& bell, bool alone,
              const std::function<void(const Activity&)>& tick);

}  // namespace llmpq
