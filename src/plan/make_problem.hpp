// From model, devices and work to the planning problem: the tables of seconds and bytes for every
// way to cut the work that a plan may choose. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "input/quantizer.hpp"
#include "plan/device_groups.hpp"
#include "plan/problem.hpp"
#include "plan/sizes.hpp"
#include "plan/solve.hpp"
#include "plan/work.hpp"
#include "profile/latency_model.hpp"
#include "profile/quality.hpp"
#include "profile/rounding.hpp"

namespace llmpq {

/// What is known of the ranks of a request beside their memory, and of the job beside its sizes.
struct PlanningData {
  std::string name;  ///< of the problem
  std::vector<DeviceProfile> profiles;
  std::vector<size_t> profile_of;  ///< [ranks] index into profiles
  RankLinks link;
  std::vector<SequenceLength> lengths;
  std::vector<ByFormat> omega;  ///< [layers]; empty: the random indicator
  uint64_t seed = 0;            ///< of the random indicator, and of samples of the lengths
  double theta = 0;             ///< seconds for a unit of omega
  std::optional<double> max_omega;

  // What quality means beside omega, where that is known.
  std::optional<Quality> quality;                 ///< of perplexity
  Quantizer quality_quantizer = Quantizer::kRtn;  ///< that it is calibrated for
  /// [layers]: by it the layers of a stage that may swap formats, which changes neither time nor
  /// omega, are given theirs; empty: by nothing.
  std::vector<ByFormat> preference;
};

struct MadeProblem {
  Problem problem;
  Format head_format = Format::kBf16;
  std::vector<MicroBatches> sizes;  ///< what each row of problem.batchings stands for
  std::vector<int32_t> kv_blocks;   ///< likewise
};

/// What one token row takes on its way from stage to stage.
int64_t activation_row_bytes(const ModelConfig& config);

/// Formats: as wished; else 16 bit (f16 where a device has no bf16), w8, w4, w3, as far as a device
/// has times for them. A wish for sizes or the mix leaves the choices that agree with it;
/// --layers-per-stage is not looked at. Choices whose KV cache and smallest weights exceed all
/// memory together are left out, unless that leaves none. Error(kUsage): a wish or a profile that
/// leaves nothing to choose from, numbers of ranks or layers that disagree.
MadeProblem make_problem(const PlanRequest& request, const PlanningData& data);

}  // namespace llmpq
