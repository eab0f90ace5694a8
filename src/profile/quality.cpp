#include "profile/quality.hpp"

#include <algorithm>
#include <cmath>

#include "layer/random.hpp"

namespace llmpq {
namespace {

// Chosen on data/tiny. Twice or half of the first and the last foresee drawn formats there about as
// well.
constexpr double kLayerSpread = 0.5;   // of u: what omega may be off by, layer by layer
constexpr double kFormatSpread = 2.0;  // of v: hardly any belief
constexpr double kMisfit = 0.1;        // of ln(foreseen / measured): losses do not quite add up

size_t column(Format format) { return static_cast<size_t>(format); }

bool hurts(const CalibrationRun& run) {
  return run.loss_increase > 0 && run.loss_increase > 2 * run.error;
}

bool is_uniform(const CalibrationRun& run) {
  return std::all_of(run.formats.begin(), run.formats.end(),
                     [&](Format format) { return format == run.formats[0]; });
}

/// Omega in nats so that the uniform runs come out. A format whose run hurts too little to tell
/// takes the scale of the next one with fewer bits, whose omega is the same but for its step.
/// Nothing where no run tells.
std::optional<std::vector<ByFormat>> scaled(std::span<const ByFormat> omega,
                                            std::span<const CalibrationRun> runs) {
  std::vector<ByFormat> result(omega.begin(), omega.end());
  double scale = 0;
  for (auto format = kFormats.rbegin(); format != kFormats.rend(); ++format) {
    if (is_16bit(format->format)) continue;
    for (const CalibrationRun& run : runs)
      if (is_uniform(run) && run.formats[0] == format->format && hurts(run))
        scale = run.loss_increase / sum_at(omega, run.formats);
    for (ByFormat& layer : result) layer[column(format->format)] *= scale;
  }
  if (scale == 0 || !std::isfinite(scale)) return std::nullopt;
  return result;
}

/// Moves u and v, one after the other, to the top of the posterior (Newton's method on ln).
class Fit {
 public:
  Fit(std::vector<ByFormat> losses, std::span<const CalibrationRun> runs)
      : losses_(std::move(losses)), u_(losses_.size()) {
    for (const CalibrationRun& run : runs)
      if (hurts(run)) runs_.push_back({&run, sum_at(losses_, run.formats), 0});
  }

  std::vector<ByFormat> solve() {
    for (int sweep = 0; sweep < 1000; ++sweep) {
      double largest = 0;
      for (size_t layer = 0; layer < u_.size(); ++layer)
        largest = std::max(largest, move_layer(layer));
      for (const FormatInfo& format : kFormats)
        if (!is_16bit(format.format)) largest = std::max(largest, move_format(format.format));
      if (largest < 1e-9) break;
    }
    return losses_;
  }

 private:
  struct Run {
    const CalibrationRun* measured;
    double sum;   ///< foreseen
    double part;  ///< of the sum, what the parameter to be moved multiplies
  };

  double loss(const Run& run, size_t layer) const {
    return losses_[layer][column(run.measured->formats[layer])];
  }

  /// Moves u of the layer by a step; returns its size.
  double move_layer(size_t layer) {
    for (Run& run : runs_) run.part = loss(run, layer);
    const double step = take_step(u_[layer], kLayerSpread);
    for (double& value : losses_[layer]) value *= std::exp(step);
    return std::fabs(step);
  }

  /// The same for v of the format.
  double move_format(Format format) {
    for (Run& run : runs_) {
      run.part = 0;
      for (size_t i = 0; i < u_.size(); ++i)
        if (run.measured->formats[i] == format) run.part += loss(run, i);
    }
    const double step = take_step(v_[column(format)], kFormatSpread);
    for (ByFormat& layer : losses_) layer[column(format)] *= std::exp(step);
    return std::fabs(step);
  }

  /// Moves a parameter whose parts are set, and the sums with it.
  double take_step(double& parameter, double spread) {
    double slope = parameter / (spread * spread), curve = 1 / (spread * spread);
    for (const Run& run : runs_) {
      const double measured = run.measured->loss_increase, noise = run.measured->error / measured;
      const double weight = 1 / (kMisfit * kMisfit + noise * noise), share = run.part / run.sum;
      slope += weight * share * std::log(run.sum / measured);
      curve += weight * share * share;
    }
    const double step = std::clamp(-slope / curve, -1.0, 1.0) * 0.7;  // damped: no overshooting
    parameter += step;
    for (Run& run : runs_) run.sum += run.part * std::expm1(step);
    return step;
  }

  std::vector<ByFormat> losses_;
  std::vector<double> u_;
  ByFormat v_{};
  std::vector<Run> runs_;
};

/// Each mixed run foreseen by all others, less what is noise of the runs themselves; nothing can be
/// said of fewer than two.
double error_of_foresight(std::span<const ByFormat> omega,
                          const std::vector<CalibrationRun>& runs) {
  double sum = 0;
  int count = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (is_uniform(runs[i]) || !hurts(runs[i])) continue;
    std::vector<CalibrationRun> others = runs;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    const auto start = scaled(omega, others);
    if (!start) continue;
    const double foreseen = sum_at(Fit(*start, others).solve(), runs[i].formats);
    const double off = std::log(foreseen / runs[i].loss_increase);
    const double noise = runs[i].error / runs[i].loss_increase;
    sum += off * off - noise * noise;
    ++count;
  }
  constexpr double kUnknown = 1;  // a factor of e: without mixed runs nothing better is known
  return count < 2 ? kUnknown : std::sqrt(std::max(sum / count, kMisfit * kMisfit));
}

}  // namespace

PerplexityIncrease Quality::predicted_perplexity_increase(double loss_sum) const {
  return {std::expm1(loss_sum), std::exp(loss_sum) * loss_sum * relative_error};
}

double Quality::largest_loss_sum(double increase, double safety) const {
  return std::log1p(increase) * std::exp(-safety * relative_error);
}

double sum_at(std::span<const ByFormat> table, std::span<const Format> formats) {
  double sum = 0;
  for (size_t i = 0; i < table.size(); ++i) sum += table[i][column(formats[i])];
  return sum;
}

std::vector<std::vector<Format>> calibration_formats(int64_t layers, Format format_16bit, int count,
                                                     uint64_t seed) {
  const auto size = static_cast<size_t>(layers);
  std::vector<std::vector<Format>> all;
  std::vector<Format> choices{format_16bit};
  for (auto format = kFormats.rbegin(); format != kFormats.rend(); ++format) {
    if (is_16bit(format->format)) continue;
    choices.push_back(format->format);
    all.emplace_back(size, format->format);
  }
  all.resize(std::min(all.size(), static_cast<size_t>(count)));
  for (int run = static_cast<int>(all.size()); run < count; ++run) {
    std::vector<Format>& formats = all.emplace_back(size);
    for (int64_t layer = 0; layer < layers; ++layer)
      formats[static_cast<size_t>(layer)] = choices[draw_bits(seed, run, layer) % choices.size()];
  }
  return all;
}

std::optional<Quality> fit_quality(std::span<const ByFormat> omega,
                                   std::vector<CalibrationRun> runs) {
  const auto start = scaled(omega, runs);
  if (!start) return std::nullopt;
  Quality quality;
  quality.loss_increase = Fit(*start, runs).solve();
  quality.relative_error = error_of_foresight(omega, runs);
  quality.runs = std::move(runs);
  return quality;
}

}  // namespace llmpq
