// What omega means for the perplexity: measured runs with rounded weights turn it into nats for
// each layer and format, which simply add up, and tell how well they do. Pure. For sensitivity.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/formats.hpp"
#include "profile/rounding.hpp"

namespace llmpq {

/// The calibration texts scored with these formats.
struct CalibrationRun {
  std::vector<Format> formats;  ///< by layer
  double loss_increase = 0;     ///< of a token's mean loss over 16 bit, in nats
  double error = 0;             ///< its standard error, paired over the windows
};

/// A relative increase of the perplexity, 0.01 = 1 %, and its standard error.
struct PerplexityIncrease {
  double value = 0, error = 0;
};

struct Quality {
  /// Nats of a token's loss, by layer. Their sum over the layers of a plan foresees
  /// ln(perplexity / perplexity of 16 bit): what a planner may add up and bound.
  std::vector<ByFormat> loss_increase;
  /// Of such a sum: root mean square of ln(foreseen / measured), each run foreseen by the others;
  /// 0.1 at least.
  double relative_error = 0;
  std::vector<CalibrationRun> runs;

  PerplexityIncrease predicted_perplexity_increase(double loss_sum) const;
  /// The largest sum whose increase stays below `increase`, `safety` standard errors to spare.
  double largest_loss_sum(double increase, double safety) const;
};

/// Sum over the layers of a table, each layer at its format.
double sum_at(std::span<const ByFormat> table, std::span<const Format> formats);

/// The assignments to run: each integer format for all layers, fewest bits first, then `count` less
/// these with the format of each layer drawn from all integer formats and 16 bit.
std::vector<std::vector<Format>> calibration_formats(int64_t layers, Format format_16bit, int count,
                                                     uint64_t seed);

/// loss_increase[layer][format] = omega[layer][format] * exp(u[layer] + v[format]) * scale[format],
/// where scale makes the uniform run of the format come out, and u, v are the likeliest for all
/// runs, with ln(foreseen / measured) normal and u = 0 +- 0.5 beforehand: so a few runs
/// correct omega as far as they know better. Nothing if no run hurts beyond twice its error.
std::optional<Quality> fit_quality(std::span<const ByFormat> omega,
                                   std::vector<CalibrationRun> runs);

}  // namespace llmpq
