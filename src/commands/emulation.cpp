#include "commands/emulation.hpp"

#include <fmt/format.h>

#include "base/log.hpp"
#include "kernels/check.hpp"
#include "profile/cache.hpp"
#include "profile/profile_json.hpp"

namespace llmpq {

std::optional<EmulatedDevice> load_emulated(const Machines& machines, const ModelConfig& config) {
  const Emulation& emulation = machines.mine();
  if (emulation.clock.empty()) return std::nullopt;
  EmulatedDevice device{.profile = {}, .slowdown = emulation.slowdown};
  if (emulation.profile.empty()) return device;
  const std::string file = emulation.profile.string();
  ProfileFile profile = load_profile(file);
  CHECK(profile.devices.size() == 1, Exit::kUsage,
        "--emulate profile={}: the file has {} devices: want one with the device to emulate alone",
        file, profile.devices.size());
  device.profile = std::move(profile.devices.front());
  const std::string shape = layer_shape(config);
  CHECK(device.profile->shape.empty() || device.profile->shape == shape, Exit::kUsage,
        "--emulate profile={}: {} was measured for layers of another model (shape {}, this model "
        "has {}): measure it with llmpq profile, or leave \"shape\" empty if the times are made up",
        file, device.profile->device, device.profile->shape, shape);
  return device;
}

std::vector<CoreNeed> told_needs(const std::vector<RankReport>& inventory,
                                 const std::vector<Emulation>& emulations) {
  std::vector<CoreNeed> needs;
  for (size_t i = 0; i < inventory.size(); ++i) {
    const RankReport& rank = inventory[i];
    const Emulation& emulation = emulations.at(i);
    CoreNeed need{.rank = rank.rank,
                  .host = rank.host,
                  .cpus = rank.cpus,
                  .usable_cpus = rank.usable_cpus,
                  .emulated = !emulation.clock.empty(),
                  .cores = 0};
    if (!need.emulated) need.cores = rank.backend == BackendKind::kCpu ? rank.threads : 1;
    if (!emulation.slowdown.empty()) need.cores = 1 / emulation.slowdown.least();
    needs.push_back(need);
  }
  return needs;
}

void check_needs(const Mpi& mpi, const Machines& machines, std::optional<double> measured_cores) {
  const auto measured =
      mpi.all_gather(measured_cores ? fmt::format("{:.6f}", *measured_cores) : "");
  std::vector<CoreNeed> needs = told_needs(machines.inventory, machines.emulations);
  for (size_t i = 0; i < needs.size(); ++i)
    if (!measured[i].empty()) needs[i].cores = std::stod(measured[i]);
  mpi.agreed([&] { check_cores(needs); });
}

void tell_overruns(const Pace::Counts& counts) {
  if (counts.overran == 0) return;
  log_warning(
      "emulated device: computing took longer than the device would have in {} of {} steps "
      "({:.1f} %), {:.2f} times as long at worst: measured speeds are too low",
      counts.overran, counts.steps,
      100 * static_cast<double>(counts.overran) / static_cast<double>(counts.steps), counts.worst);
}

}  // namespace llmpq
