// The tables of seconds of a planning problem, from a device's latency model.
#pragma once

#include <optional>
#include <vector>

#include "plan/batch_choices.hpp"
#include "plan/problem.hpp"
#include "plan/work.hpp"
#include "profile/latency_model.hpp"

namespace llmpq {

/// Layers that are alike: of one window, and of one format where a wish names one for each layer.
struct LayerClass {
  int64_t window = 0;  ///< tokens, 0: none
  std::optional<Format> only;
  bool operator==(const LayerClass&) const = default;
};

/// What the tables of all devices have in common.
struct TableSetup {
  Work work;
  std::vector<LayerClass> classes;
  std::vector<WorkKeys> keys;   ///< [classes]
  std::vector<Format> formats;  ///< columns of the problem
  Format head = Format::kBf16;
};

/// A chunk column is a full chunk, a decode column an average step of a full batch; both look at as
/// many keys as rows do on average over the whole work. The profile must have a curve for the head.
ProblemKind table_of(const DeviceProfile& profile, const TableSetup& setup,
                     const BatchChoices& choices);

/// One layer on an average device (kinds[i] for each of them), on each in the format that is
/// fastest for chunks.
StepPair average_seconds(const std::vector<ProblemKind>& kinds,
                         const std::vector<size_t>& of_device, int prefill, int decode);

}  // namespace llmpq
