#include "commands/machines.hpp"

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/log.hpp"
#include "commands/emulation.hpp"
#include "kernels/check.hpp"
#include "profile/near_cores.hpp"
#include "profile/pci.hpp"

namespace llmpq {
namespace {

template <typename T>
const T& mine_of(const Mpi& mpi, const std::vector<T>& by_rank) {
  return by_rank.at(static_cast<size_t>(mpi.rank()));
}

std::string to_json(const RankSight& sight) {
  nlohmann::json gpus = nlohmann::json::array();
  for (const DeviceInfo& gpu : sight.gpus)
    gpus.push_back({gpu.name, gpu.uuid, gpu.pci, gpu.compute_units, gpu.compute_capability});
  return dump_json(nlohmann::json{{"rank", sight.rank},
                                  {"host", sight.host},
                                  {"wish", static_cast<int>(sight.wish)},
                                  {"gpus", gpus},
                                  {"why_none", sight.why_none},
                                  {"gpu_on_bus", sight.gpu_on_bus}});
}

RankSight sight_from_json(const std::string& text) {
  const auto json = parse_json(text, "what a rank sees", Exit::kMpi);
  RankSight sight;
  sight.rank = json.at("rank");
  sight.host = json.at("host");
  sight.wish = static_cast<BackendWish>(json.at("wish").get<int>());
  sight.why_none = json.at("why_none");
  sight.gpu_on_bus = json.at("gpu_on_bus");
  for (const auto& row : json.at("gpus")) {
    DeviceInfo gpu;
    gpu.name = row.at(0);
    gpu.uuid = row.at(1);
    gpu.pci = row.at(2);
    gpu.compute_units = row.at(3);
    gpu.compute_capability = row.at(4);
    sight.gpus.push_back(gpu);
  }
  return sight;
}

/// The smaller of the limits that there are.
std::optional<int64_t> memory_limit(const Job& job, const Emulation& emulation) {
  if (!job.memory_limit || !emulation.memory_bytes)
    return job.memory_limit ? job.memory_limit : emulation.memory_bytes;
  return std::min(*job.memory_limit, *emulation.memory_bytes);
}

void check_clock(const Emulation& emulation, const RankSight& rank, const RankBinding& binding) {
  CHECK(emulation.clock.empty() || binding.kind == BackendKind::kCpu, Exit::kUsage,
        "--emulate {}: rank {} computes on a GPU, and only CPUs can be another device: want "
        "--backend cpu for it",
        emulation.clock, rank.rank);
}

void check_sms(const Emulation& emulation, const RankSight& rank, const RankBinding& binding) {
  if (!emulation.sms) return;
  CHECK(binding.kind == BackendKind::kCuda, Exit::kUsage,
        "--emulate sms={}: rank {} computes on its CPU, which has no SMs: leave sms out for it, or "
        "limit it with --threads",
        *emulation.sms, rank.rank);
  const DeviceInfo& gpu = rank.gpus.at(static_cast<size_t>(binding.gpu));
  CHECK(*emulation.sms <= gpu.compute_units, Exit::kUsage,
        "--emulate sms={}: the GPU of rank {} ({}) has {} SMs: want at most so many",
        *emulation.sms, rank.rank, gpu.name, gpu.compute_units);
}

/// The cores near the rank's GPU; none if it has none, or is bound already.
std::vector<Core> near_cores(const RankSight& sight, const RankBinding& binding) {
  if (binding.kind != BackendKind::kCuda) return {};
  if (is_bound()) {
    log_debug("the launcher has bound this rank: it stays on CPUs {}", ranges_text(allowed_cpus()));
    return {};
  }
  try {
    return cores_near(sight.gpus.at(static_cast<size_t>(binding.gpu)).pci);
  } catch (const std::exception& error) {
    log_warning("this rank is not bound to cores near its GPU: {}", error.what());
    return {};
  }
}

/// Collective: ranks that are near the same cores divide them.
void bind_near_gpu(const Mpi& mpi, const RankSight& sight, const RankBinding& binding) {
  const std::vector<Core> cores = near_cores(sight, binding);
  const std::string key =
      cores.empty() ? "" : fmt::format("{} {} {}", mpi.host(), cores[0].at(0), cores.size());
  const auto keys = mpi.all_gather(key);
  if (cores.empty()) return;
  const auto index = std::count(keys.begin(), keys.begin() + mpi.rank(), key);
  const auto count = std::count(keys.begin(), keys.end(), key);
  try {
    bind_to(part_of(cores, static_cast<int>(index), static_cast<int>(count)));
    log_debug("bound to CPUs {}, near its GPU", ranges_text(allowed_cpus()));
  } catch (const std::exception& error) {
    log_warning("this rank is not bound to cores near its GPU: {}", error.what());
  }
}

void tell(const std::vector<RankSight>& sights, const Placement& placement,
          const std::vector<RankReport>& inventory) {
  for (const BindingLine& line : explain(sights, placement.bindings))
    log_line(line.is_warning ? LogLevel::kWarning : LogLevel::kInfo, line.text);
  for (const std::string& sentence : left_out_units(inventory)) log_info("{}", sentence);
  for (const std::string& sentence : filled_gpus(inventory)) log_warning("{}", sentence);
  log_debug("the ranks and their devices:\n{}", describe(inventory));
}

}  // namespace

RankSight look_for_gpus(const Mpi& mpi, const Job& job) {
  RankSight sight;
  sight.rank = mpi.rank();
  sight.host = mpi.host();
  sight.wish = mine_of(mpi, for_each_rank(job.backend, mpi.size(), "--backend"));
  if (sight.wish == BackendWish::kCpu) return sight;
  CudaDevices devices = find_cuda_devices();
  sight.gpus = std::move(devices.list);
  sight.why_none = devices.why_none;
  sight.gpu_on_bus = has_nvidia_gpu();
  return sight;
}

std::vector<RankSight> gather_sights(const Mpi& mpi, const RankSight& mine) {
  std::vector<RankSight> sights;
  for (const std::string& text : mpi.all_gather(to_json(mine)))
    sights.push_back(sight_from_json(text));
  return sights;
}

Placement place_ranks(const Job& job, const std::vector<RankSight>& sights) {
  Placement placement{.bindings = bind_ranks(sights, job.share_gpu),
                      .emulations = emulations(job.emulate, static_cast<int>(sights.size()))};
  for (size_t i = 0; i < sights.size(); ++i) {
    check_clock(placement.emulations[i], sights[i], placement.bindings[i]);
    check_sms(placement.emulations[i], sights[i], placement.bindings[i]);
  }
  return placement;
}

RankReport settle_on_host(const Mpi& mpi, const Job& job, const RankSight& sight,
                          const Placement& placement) {
  bind_near_gpu(mpi, sight, mine_of(mpi, placement.bindings));
  return report_rank(mpi, {.threads = job.threads,
                           .memory_bytes = memory_limit(job, mine_of(mpi, placement.emulations))});
}

std::unique_ptr<Backend> open_backend(const Mpi& mpi, const Job& job, const RankReport& mine,
                                      const Placement& placement) {
  const RankBinding& binding = mine_of(mpi, placement.bindings);
  if (binding.kind == BackendKind::kCpu) return make_cpu_backend(mine.threads, job.isa);
  return make_cuda_backend({.device = binding.gpu,
                            .sms = mine_of(mpi, placement.emulations).sms.value_or(0),
                            .memory_bytes = mine.limit_bytes});
}

std::vector<RankReport> take_inventory(const Mpi& mpi, RankReport mine, const Backend& backend,
                                       const Placement& placement) {
  mpi.barrier();  // a backend that is opened takes memory, on a GPU that may be shared
  mpi.agreed([&] {
    add_device(mine, backend, mine_of(mpi, placement.bindings));
    mine.clock = mine_of(mpi, placement.emulations).clock;
    if (!mine.clock.empty()) mine.device += fmt::format(" ({})", mine.clock);
  });
  return gather_inventory(mpi, mine);
}

void naming_this_rank(const Mpi& mpi, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    const bool is_here = error.code() == Exit::kGpu || error.code() == Exit::kNoPlan;
    if (mpi.size() == 1 || !is_here) throw;
    fail(error.code(), "rank {} on {}: {}", mpi.rank(), mpi.host(), error.what());
  }
}

Machines find_machines(const Mpi& mpi, const Job& job) {
  RankSight sight;
  mpi.agreed([&] { naming_this_rank(mpi, [&] { sight = look_for_gpus(mpi, job); }); });
  const std::vector<RankSight> sights = gather_sights(mpi, sight);
  Placement placement;
  mpi.agreed([&] { placement = place_ranks(job, sights); });
  const RankReport mine = settle_on_host(mpi, job, sight, placement);
  Machines machines;
  mpi.agreed([&] {
    naming_this_rank(mpi, [&] { machines.backend = open_backend(mpi, job, mine, placement); });
  });
  machines.inventory = take_inventory(mpi, mine, *machines.backend, placement);
  machines.rank = mpi.rank();
  machines.emulations = placement.emulations;
  mpi.agreed([&] { check_cores(told_needs(machines.inventory, machines.emulations)); });
  if (mpi.rank() == 0) tell(sights, placement, machines.inventory);
  return machines;
}

}  // namespace llmpq
