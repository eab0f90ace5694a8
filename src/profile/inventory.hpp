// What every rank brings: host, device, threads, memory. Gathered once, when every rank has opened
// its device and before the plan is made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/mpi.hpp"
#include "kernels/backend.hpp"
#include "profile/bind.hpp"

namespace llmpq {

struct RankReport {
  int rank = 0;
  int node_rank = 0;  ///< among the ranks of its host
  std::string host;
  int threads = 1;
  std::string cpus;     ///< that it may run on: "0-7"
  int usable_cpus = 1;  ///< how many they are, within the cgroup's quota

  BackendKind backend = BackendKind::kCpu;
  std::string device;          ///< name, with the clock of an emulated one
  std::string isa;             ///< DeviceInfo::isa
  std::string left_out;        ///< DeviceInfo::left_out
  std::string clock;           ///< Emulation::clock
  int gpu = -1;                ///< index among the GPUs that the rank sees; -1: a CPU
  std::string uuid, pci;       ///< of the GPU
  int compute_capability = 0;  ///< of the GPU, major * 10 + minor
  int sms = 0;                 ///< of the GPU that the rank uses
  std::string why_no_links;    ///< Backend::why_no_links()

  int64_t total_bytes = 0;   ///< of the device
  int64_t free_bytes = 0;    ///< of the device, when all ranks had opened theirs
  int64_t limit_bytes = 0;   ///< most that the job lets this rank have; 0: no limit
  int64_t memory_bytes = 0;  ///< what a stage may allocate: after sharing with other ranks
};

/// What the job says of a rank's share; nothing = what the machine has.
struct RankLimits {
  std::optional<int32_t> threads;
  std::optional<int64_t> memory_bytes;
};

/// This process's share of its host. Ranks whose affinity masks are the same divide their CPUs; all
/// ranks of a node divide the memory that is free within the cgroup's and Slurm's limits, of which
/// a tenth is left for everything that is not a stage. Collective.
RankReport report_rank(const Mpi& mpi, const RankLimits& limits);

/// Adds what the rank's backend says of its device. Error(kGpu).
void add_device(RankReport& report, const Backend& backend, const RankBinding& binding);

/// Gives the ranks on each GPU their shares of what is free of it.
void divide_gpus(std::vector<RankReport>& inventory);

/// The reports of all ranks, by rank, on every rank, GPUs divided. Collective.
std::vector<RankReport> gather_inventory(const Mpi& mpi, const RankReport& mine);

/// Of each rank's GPU; 0 for a CPU.
std::vector<int> compute_capabilities(const std::vector<RankReport>& inventory);

/// A sentence for each host and thing that the kernels of its CPU leave out.
std::vector<std::string> left_out_units(const std::vector<RankReport>& inventory);

/// A sentence for each GPU that others have filled: less than a tenth of it is free.
std::vector<std::string> filled_gpus(const std::vector<RankReport>& inventory);

/// A table for people.
std::string describe(const std::vector<RankReport>& inventory);

}  // namespace llmpq
