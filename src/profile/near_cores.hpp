// The CPU cores near a GPU, and binding this process to some of them. hwloc is in the .cpp alone.
#pragma once

#include <string>
#include <vector>

namespace llmpq {

/// The hardware threads of one core.
using Core = std::vector<int>;

/// The cores near a PCI device ("0000:3b:00.0") that this process may run on. Throws
/// std::runtime_error where they cannot be told.
std::vector<Core> cores_near(const std::string& pci);

/// Part `index` of `count` even parts; all of them where there are fewer cores than parts.
std::vector<Core> part_of(const std::vector<Core>& cores, int index, int count);

/// The CPUs that this process may run on, ascending.
std::vector<int> allowed_cpus();
/// Whether something has bound this process: it may not run on all CPUs of the host.
bool is_bound();
/// Binds the calling thread and those that it starts from now on. Throws std::runtime_error.
void bind_to(const std::vector<Core>& cores);

}  // namespace llmpq
