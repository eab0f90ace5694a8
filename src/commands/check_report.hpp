// What `llmpq check` has found, and how it is shown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/check.hpp"
#include "kernels/peaks.hpp"
#include "profile/inventory.hpp"
#include "profile/links.hpp"
#include "profile/transfers.hpp"

namespace llmpq {

/// Something to mend: with a code, what a job would stop with; with kOk, a warning.
struct Finding {
  Exit code = Exit::kOk;
  std::string sentence;
};

/// The link between the ranks `from` and `to`, which follow each other.
struct CheckedLink {
  int from = 0, to = 0;
  LinkChoice choice;
};

struct CheckReport {
  std::vector<RankReport> ranks;  ///< without a device where none could be opened
  std::vector<std::string> notes;
  std::vector<Finding> findings;  ///< in the order in which a job would meet them
  std::vector<CheckedLink> links;
  std::vector<RankTransfer> transfers;
  std::vector<std::optional<DeviceTransfer>> copies;  ///< by rank; nothing for a CPU
  std::vector<Peaks> peaks;                           ///< by rank, if asked for
  std::string model;                                  ///< what was opened; empty: nothing

  /// The first error's.
  Exit code() const;
};

/// Tables for people.
std::string describe(const CheckReport& report);
/// One JSON object on one line.
std::string to_json(const CheckReport& report);

}  // namespace llmpq
