// Emulated devices in a job: the clock of this rank's, and whether the hosts have room for all.
#pragma once

#include <optional>
#include <vector>

#include "base/mpi.hpp"
#include "commands/machines.hpp"
#include "input/model_config.hpp"
#include "profile/device_clock.hpp"

namespace llmpq {

/// The clock of this rank's device; nothing without one. Reads the file of --emulate profile=.
/// Error(kUsage): no such file, no profile, not one device in it, or one of another shape.
std::optional<EmulatedDevice> load_emulated(const Machines& machines, const ModelConfig& config);

/// What the ranks take of their hosts as far as --emulate tells: one part in `slowdown` of a core,
/// all threads where nothing is emulated, nothing yet where a profile is the clock.
std::vector<CoreNeed> told_needs(const std::vector<RankReport>& inventory,
                                 const std::vector<Emulation>& emulations);
/// Checks the hosts' cores with what was measured of this rank's stage: StageClock::cores() where a
/// profile is the clock, 0 without a stage; nothing: what --emulate tells. Collective.
/// Error(kUsage), see check_cores().
void check_needs(const Mpi& mpi, const Machines& machines, std::optional<double> measured_cores);

/// Warns if computing took longer than the device would have.
void tell_overruns(const Pace::Counts& counts);

}  // namespace llmpq
