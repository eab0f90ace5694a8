#include "profile/inventory.hpp"

#include <fmt/core.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/table.hpp"
#include "kernels/cpu/thread_pool.hpp"

namespace llmpq {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
constexpr double kUsableShare = 0.9;  ///< the rest: logs, MPI, HDF5, page tables

/// The CPUs that this process may run on, as text: "0,1,4".
std::string affinity_text() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return "unknown";
  std::string text;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) text += fmt::format("{}{}", text.empty() ? "" : ",", cpu);
  return text;
}

int64_t number_in(const char* path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? value : kNoLimit;
}

/// MemAvailable of /proc/meminfo.
int64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  int64_t kib = 0;
  while (file >> key >> kib && std::getline(file, unit))
    if (key == "MemAvailable:") return kib * 1024;
  return kNoLimit;
}

/// What the control group (either version) leaves.
int64_t cgroup_memory() {
  const int64_t limit2 = number_in("/sys/fs/cgroup/memory.max");
  if (limit2 != kNoLimit)
    return limit2 - std::min(limit2, number_in("/sys/fs/cgroup/memory.current"));
  const int64_t limit1 = number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  if (limit1 == kNoLimit) return kNoLimit;
  return limit1 - std::min(limit1, number_in("/sys/fs/cgroup/memory/memory.usage_in_bytes"));
}

/// SLURM_MEM_PER_NODE, in MiB.
int64_t slurm_memory() {
  const char* text = std::getenv("SLURM_MEM_PER_NODE");
  const int64_t mib = text ? std::atoll(text) : 0;
  return mib > 0 ? mib << 20 : kNoLimit;
}

int64_t memory_share(const Mpi& mpi) {
  const int64_t free = std::min({available_memory(), cgroup_memory(), slurm_memory()});
  return static_cast<int64_t>(static_cast<double>(free) * kUsableShare) / mpi.node_size();
}

/// How many ranks of this host may run on exactly the CPUs that this one may.
int ranks_on_my_cpus(const Mpi& mpi) {
  const std::string mine = mpi.host() + " " + affinity_text();
  const auto all = mpi.all_gather(mine);
  return static_cast<int>(std::count(all.begin(), all.end(), mine));
}

}  // namespace

RankReport report_rank(const Mpi& mpi, const RankLimits& limits) {
  RankReport report;
  report.rank = mpi.rank();
  report.node_rank = mpi.node_rank();
  report.host = mpi.host();
  const int sharers = std::max(1, ranks_on_my_cpus(mpi));  // collective: on all ranks or on none
  report.threads = limits.threads.value_or(std::max(1, usable_cpus() / sharers));
  report.memory_bytes = memory_share(mpi);
  if (limits.memory_bytes)
    report.memory_bytes = std::min(report.memory_bytes, *limits.memory_bytes);
  return report;
}

std::vector<RankReport> gather_inventory(const Mpi& mpi, const RankReport& mine) {
  const nlohmann::json json{mine.rank,   mine.node_rank, mine.host,
                            mine.device, mine.threads,   mine.memory_bytes};
  std::vector<RankReport> inventory;
  for (const std::string& text : mpi.all_gather(dump_json(json))) {
    const auto row = parse_json(text, "a rank's report", Exit::kMpi);
    inventory.push_back({row[0], row[1], row[2], row[3], row[4], row[5]});
  }
  return inventory;
}

std::string describe(const std::vector<RankReport>& inventory) {
  Table table({"rank", "host", "device", "threads", "memory"});
  for (const RankReport& r : inventory)
    table.add({std::to_string(r.rank), r.host, r.device, std::to_string(r.threads),
               bytes_text(r.memory_bytes)});
  return table.text();
}

}  // namespace llmpq
