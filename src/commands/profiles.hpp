// The latency model of every rank's device, from a file, from the cache, or measured now; and the
// links between the ranks. Used by profile, and before a plan is made.
#pragma once

#include <string>
#include <vector>

#include "base/mpi.hpp"
#include "commands/prepare.hpp"
#include "profile/latency_model.hpp"

namespace llmpq {

/// A rank's profile, and where it came from.
struct RankProfile {
  DeviceProfile profile;
  std::string origin;  ///< "measured", "kept in FILE" or "FILE"
  // Of a measurement just made:
  double spent_s = 0;
  int left_out = 0;         ///< points for which there was no time
  double spread = 0;        ///< how much longer a point's visits took than the quietest, mean
  double fitted_error = 0;  ///< mean relative error on the points of the fit
  std::vector<std::string> notes;  ///< for people: formats that are left out
};

/// Seconds for a new device where the job does not say.
inline constexpr double kProfileSeconds = 30;

/// Whether devices that are not known yet may be measured.
enum class Measuring : uint8_t { kAllowed, kNever };

/// By rank, on every rank. Devices that --profile does not name and the cache does not have are
/// measured, all ranks that share one at the same time; the log tells it; with kNever the result is
/// empty if there are any. Collective.
/// Error(kUsage): a --profile of another shape, or without one of the devices. Error(kNoPlan): not
/// one layer fits in a rank's memory.
std::vector<RankProfile> find_profiles(const Mpi& mpi, const Job& job, const Input& input,
                                       const Machines& machines,
                                       Measuring measuring = Measuring::kAllowed);

/// links[from][to]: over MPI, through the host memory of GPUs, measured between the pairs of
/// pairs_to_measure(); other pairs are taken to be as slow as the slowest. Collective.
std::vector<std::vector<LinkModel>> profile_links(const Mpi& mpi, const Machines& machines);

}  // namespace llmpq
