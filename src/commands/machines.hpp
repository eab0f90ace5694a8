// What the ranks compute on: each looks for GPUs, all decide who gets which, each opens its own and
// measures what is free. generate, plan and eval call find_machines(); check takes it step by step.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/mpi.hpp"
#include "input/job.hpp"
#include "kernels/backend.hpp"
#include "profile/bind.hpp"
#include "profile/emulate.hpp"
#include "profile/inventory.hpp"

namespace llmpq {

/// What we run on.
struct Machines {
  int rank = 0;
  std::unique_ptr<Backend> backend;   ///< of this rank
  std::vector<RankReport> inventory;  ///< of all ranks
  std::vector<Emulation> emulations;  ///< of all ranks
  const Emulation& mine() const { return emulations.at(static_cast<size_t>(rank)); }
  const RankReport& report() const { return inventory.at(static_cast<size_t>(rank)); }
};

/// Collective. Error(kGpu): no GPU where one is asked for, or two ranks on one. Error(kUsage): an
/// instruction set that a rank lacks, wrong --backend or --emulate.
Machines find_machines(const Mpi& mpi, const Job& job);

/// Runs `work`. A failure of the GPU or of memory there names this rank and its host: another rank
/// may be the one that tells it.
void naming_this_rank(const Mpi& mpi, const std::function<void()>& work);

// Its steps, in their order.

/// What this rank asks for and sees. Error(kUsage) for --backend, Error(kGpu) where CUDA fails.
RankSight look_for_gpus(const Mpi& mpi, const Job& job);
/// Collective: all ranks', on every rank.
std::vector<RankSight> gather_sights(const Mpi& mpi, const RankSight& mine);

/// What each rank computes on, by rank.
struct Placement {
  std::vector<RankBinding> bindings;
  std::vector<Emulation> emulations;
};
/// The same on all ranks. Error(kGpu) or (kUsage), see find_machines().
Placement place_ranks(const Job& job, const std::vector<RankSight>& sights);

/// Binds a GPU's rank to cores near it, and tells what the host gives this rank. Collective.
RankReport settle_on_host(const Mpi& mpi, const Job& job, const RankSight& sight,
                          const Placement& placement);
/// Error(kGpu) or (kUsage).
std::unique_ptr<Backend> open_backend(const Mpi& mpi, const Job& job, const RankReport& mine,
                                      const Placement& placement);
/// Measures what is free, when all ranks have opened their backends. Collective. Error(kGpu).
std::vector<RankReport> take_inventory(const Mpi& mpi, RankReport mine, const Backend& backend,
                                       const Placement& placement);

}  // namespace llmpq
