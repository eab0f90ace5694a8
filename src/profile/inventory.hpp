// What every rank brings: host, device, threads, memory. Gathered once, before the plan is made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/mpi.hpp"

namespace llmpq {

struct RankReport {
  int rank = 0;
  int node_rank = 0;  ///< among the ranks of its host
  std::string host;
  std::string device;
  int threads = 1;
  int64_t memory_bytes = 0;  ///< what a stage may allocate: after sharing with the node's ranks
};

/// What the job says of a rank's share; nothing = what the machine has.
struct RankLimits {
  std::optional<int32_t> threads;
  std::optional<int64_t> memory_bytes;
};

/// This process's share of its host. Ranks whose affinity masks are the same divide their CPUs; all
/// ranks of a node divide the memory that is free within the cgroup's and Slurm's limits, of which
/// a tenth is left for everything that is not a stage. The device's name is the backend's to add.
/// Collective.
RankReport report_rank(const Mpi& mpi, const RankLimits& limits);

/// The reports of all ranks, by rank, on every rank. Collective.
std::vector<RankReport> gather_inventory(const Mpi& mpi, const RankReport& mine);

/// A table for people.
std::string describe(const std::vector<RankReport>& inventory);

}  // namespace llmpq
