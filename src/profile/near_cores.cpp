#include "profile/near_cores.hpp"

#include <fmt/core.h>
#include <hwloc.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace llmpq {
namespace {

struct DestroyTopology {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<hwloc_topology, DestroyTopology>;

void check(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

/// This machine with its PCI devices; only what the process may use.
Topology load_topology() {
  hwloc_topology_t raw = nullptr;
  check(hwloc_topology_init(&raw) == 0, "hwloc_topology_init");
  Topology topology(raw);
  check(hwloc_topology_set_io_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_IMPORTANT) == 0,
        "hwloc_topology_set_io_types_filter");
  check(hwloc_topology_load(raw) == 0, "hwloc_topology_load");
  return topology;
}

Core threads_of(hwloc_const_cpuset_t set) {
  Core core;
  for (int cpu = hwloc_bitmap_first(set); cpu >= 0; cpu = hwloc_bitmap_next(set, cpu))
    core.push_back(cpu);
  return core;
}

}  // namespace

std::vector<Core> cores_near(const std::string& pci) {
  const Topology topology = load_topology();
  errno = ENODEV;
  const hwloc_obj_t device = hwloc_get_pcidev_by_busidstring(topology.get(), pci.c_str());
  check(device != nullptr, fmt::format("hwloc finds no PCI device {}", pci));
  const hwloc_obj_t near = hwloc_get_non_io_ancestor_obj(topology.get(), device);
  std::vector<Core> cores;
  const int count =
      hwloc_get_nbobjs_inside_cpuset_by_type(topology.get(), near->cpuset, HWLOC_OBJ_CORE);
  for (int i = 0; i < count; ++i) {
    const hwloc_obj_t core = hwloc_get_obj_inside_cpuset_by_type(
        topology.get(), near->cpuset, HWLOC_OBJ_CORE, static_cast<unsigned>(i));
    cores.push_back(threads_of(core->cpuset));
  }
  return cores;
}

std::vector<Core> part_of(const std::vector<Core>& cores, int index, int count) {
  const auto size = std::ssize(cores);
  if (size < count) return cores;
  return {cores.begin() + size * index / count, cores.begin() + size * (index + 1) / count};
}

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

bool is_bound() { return std::ssize(allowed_cpus()) < sysconf(_SC_NPROCESSORS_ONLN); }

void bind_to(const std::vector<Core>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const Core& core : cores)
    for (const int cpu : core)
      if (cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
  check(sched_setaffinity(0, sizeof set, &set) == 0, "sched_setaffinity");
}

}  // namespace llmpq
