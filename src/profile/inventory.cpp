#include "profile/inventory.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/launcher.hpp"
#include "base/table.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "profile/near_cores.hpp"

namespace llmpq {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
constexpr double kUsableShare = 0.9;  ///< the rest: logs, MPI, HDF5, page tables
constexpr int64_t kFilledParts = 10;  ///< a GPU with less than one of them free is taken

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

int64_t free_host_memory() {
  return std::min({available_memory(), cgroup_memory(), slurm_node_memory().value_or(kNoLimit)});
}

/// How many ranks of this host may run on exactly the CPUs that this one may.
int ranks_on_my_cpus(const Mpi& mpi, const std::string& cpus) {
  const std::string mine = mpi.host() + " " + cpus;
  const auto all = mpi.all_gather(mine);
  return static_cast<int>(std::count(all.begin(), all.end(), mine));
}

int64_t limited(int64_t bytes, int64_t limit) { return limit > 0 ? std::min(bytes, limit) : bytes; }

/// Contexts that a rank has at a time: its stage's, GPTQ's, and one that fills tables.
constexpr int64_t kMostContexts = 3;

/// Of a limit: what is left for a stage.
int64_t limit_of_stage(const RankReport& rank) {
  const int64_t contexts = kMostContexts * context_bytes(rank.backend);
  return rank.limit_bytes > 0 ? std::max<int64_t>(1, rank.limit_bytes - contexts) : 0;
}

std::string to_json(const RankReport& r) {
  const nlohmann::json json{{"rank", r.rank},
                            {"node_rank", r.node_rank},
                            {"host", r.host},
                            {"threads", r.threads},
                            {"cpus", r.cpus},
                            {"usable_cpus", r.usable_cpus},
                            {"backend", static_cast<int>(r.backend)},
                            {"device", r.device},
                            {"isa", r.isa},
                            {"left_out", r.left_out},
                            {"clock", r.clock},
                            {"gpu", r.gpu},
                            {"uuid", r.uuid},
                            {"pci", r.pci},
                            {"compute_capability", r.compute_capability},
                            {"sms", r.sms},
                            {"why_no_links", r.why_no_links},
                            {"total_bytes", r.total_bytes},
                            {"free_bytes", r.free_bytes},
                            {"limit_bytes", r.limit_bytes},
                            {"memory_bytes", r.memory_bytes}};
  return dump_json(json);
}

RankReport from_json(const std::string& text) {
  const auto json = parse_json(text, "a rank's report", Exit::kMpi);
  RankReport r;
  r.rank = json.at("rank");
  r.node_rank = json.at("node_rank");
  r.host = json.at("host");
  r.threads = json.at("threads");
  r.cpus = json.at("cpus");
  r.usable_cpus = json.at("usable_cpus");
  r.backend = static_cast<BackendKind>(json.at("backend").get<int>());
  r.device = json.at("device");
  r.isa = json.at("isa");
  r.left_out = json.at("left_out");
  r.clock = json.at("clock");
  r.gpu = json.at("gpu");
  r.uuid = json.at("uuid");
  r.pci = json.at("pci");
  r.compute_capability = json.at("compute_capability");
  r.sms = json.at("sms");
  r.why_no_links = json.at("why_no_links");
  r.total_bytes = json.at("total_bytes");
  r.free_bytes = json.at("free_bytes");
  r.limit_bytes = json.at("limit_bytes");
  r.memory_bytes = json.at("memory_bytes");
  return r;
}

}  // namespace

RankReport report_rank(const Mpi& mpi, const RankLimits& limits) {
  RankReport report;
  report.rank = mpi.rank();
  report.node_rank = mpi.node_rank();
  report.host = mpi.host();
  report.cpus = ranges_text(allowed_cpus());
  // Collective: on all ranks or on none.
  const int sharers = std::max(1, ranks_on_my_cpus(mpi, report.cpus));
  report.usable_cpus = usable_cpus();
  report.threads = limits.threads.value_or(std::max(1, report.usable_cpus / sharers));
  report.limit_bytes = limits.memory_bytes.value_or(0);
  report.free_bytes = free_host_memory();
  const auto usable = static_cast<int64_t>(static_cast<double>(report.free_bytes) * kUsableShare);
  report.memory_bytes = limited(usable / mpi.node_size(), report.limit_bytes);
  return report;
}

void add_device(RankReport& report, const Backend& backend, const RankBinding& binding) {
  const DeviceInfo device = backend.device();
  report.backend = backend.kind();
  report.why_no_links = backend.why_no_links();
  report.device = device.name;
  report.isa = device.isa;
  report.left_out = device.left_out;
  report.total_bytes = device.memory_bytes;
  if (report.backend == BackendKind::kCpu) return;
  report.gpu = binding.gpu;
  report.uuid = device.uuid;
  report.pci = device.pci;
  report.compute_capability = device.compute_capability;
  report.sms = device.compute_units;
  report.free_bytes = device.free_bytes;
}

void divide_gpus(std::vector<RankReport>& inventory) {
  for (RankReport& mine : inventory) {
    if (mine.backend != BackendKind::kCuda) continue;
    int sharers = 0;
    int64_t free_bytes = mine.free_bytes;
    for (const RankReport& other : inventory) {
      if (other.uuid != mine.uuid) continue;
      ++sharers;
      free_bytes = std::min(free_bytes, other.free_bytes);
    }
    mine.memory_bytes =
        limited(gpu_share(free_bytes, mine.total_bytes, sharers), limit_of_stage(mine));
  }
}

std::vector<RankReport> gather_inventory(const Mpi& mpi, const RankReport& mine) {
  std::vector<RankReport> inventory;
  for (const std::string& text : mpi.all_gather(to_json(mine)))
    inventory.push_back(from_json(text));
  divide_gpus(inventory);
  return inventory;
}

std::vector<int> compute_capabilities(const std::vector<RankReport>& inventory) {
  std::vector<int> capabilities;
  for (const RankReport& r : inventory) capabilities.push_back(r.compute_capability);
  return capabilities;
}

std::vector<std::string> left_out_units(const std::vector<RankReport>& inventory) {
  std::vector<std::string> sentences;
  std::set<std::string> told;
  for (const RankReport& r : inventory)
    if (!r.left_out.empty() && told.insert(r.host + r.left_out).second)
      sentences.push_back(fmt::format("rank {} on {}: {}", r.rank, r.host, r.left_out));
  return sentences;
}

std::vector<std::string> filled_gpus(const std::vector<RankReport>& inventory) {
  std::vector<std::string> sentences;
  std::set<std::string> told;
  for (const RankReport& r : inventory)
    if (r.backend == BackendKind::kCuda && r.free_bytes < r.total_bytes / kFilledParts &&
        told.insert(r.uuid).second)
      sentences.push_back(fmt::format(
          "rank {}: only {} of the {} of GPU {} ({}) on {} are free: another process "
          "uses it (nvidia-smi shows which)",
          r.rank, bytes_text(r.free_bytes), bytes_text(r.total_bytes), r.gpu, r.device, r.host));
  return sentences;
}

std::string describe(const std::vector<RankReport>& inventory) {
  Table table({"rank", "host", "device", "units", "total", "free", "usable"});
  for (const RankReport& r : inventory) {
    const bool is_gpu = r.backend == BackendKind::kCuda;
    table.add({std::to_string(r.rank), r.host,
               is_gpu ? fmt::format("{} (GPU {})", r.device, r.gpu) : r.device,
               is_gpu ? fmt::format("{} SMs", r.sms) : fmt::format("{} threads", r.threads),
               bytes_text(r.total_bytes), bytes_text(r.free_bytes), bytes_text(r.memory_bytes)});
  }
  return table.text();
}

}  // namespace llmpq
