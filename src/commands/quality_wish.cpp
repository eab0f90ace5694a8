#include "commands/quality_wish.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/log.hpp"
#include "kernels/check.hpp"
#include "profile/sensitivity_file.hpp"

namespace llmpq {
namespace {

constexpr double kSafety = 1;  ///< standard errors that the bound on the perplexity is kept by
constexpr double kMostBits = 16;

/// Bits that each layer has fewer than 16.
std::vector<ByFormat> missing_bits(int64_t layers) {
  ByFormat missing{};
  for (const FormatInfo& row : kFormats)
    missing[static_cast<size_t>(row.format)] = std::max(0.0, kMostBits - row.bits);
  return std::vector<ByFormat>(static_cast<size_t>(layers), missing);
}

/// The sum of omega that the wish for a perplexity allows.
double largest_sum(const Job& job, const PlanningData& data) {
  CHECK(!job.sensitivity.empty(), Exit::kUsage,
        "max-perplexity-increase needs --sensitivity FILE: llmpq sensitivity measures what bits "
        "cost this model");
  CHECK(data.quality, Exit::kUsage,
        "max-perplexity-increase: {} is not calibrated, so its omega says nothing of the "
        "perplexity: run llmpq sensitivity with --calibration-runs",
        job.sensitivity.string());
  return data.quality->largest_loss_sum(*parse_percent(job.max_perplexity_increase), kSafety);
}

/// The smallest increase for which a sum is allowed, as the option has it, rounded up.
std::string increase_text(const Quality& quality, double loss_sum) {
  const double least = std::expm1(loss_sum * std::exp(kSafety * quality.relative_error));
  return fmt::format("{:.2f}%", std::ceil(1e4 * least + 1) / 100);
}

/// GPTQ loses less than rounding to nearest, so what is foreseen for one is not true of the other,
/// and is no promise where it is too little.
void check_quantizer(const Job& job, Quantizer foreseen) {
  const std::string file = job.sensitivity.string();
  CHECK(
      foreseen == Quantizer::kRtn || job.quantizer == foreseen, Exit::kUsage,
      "{}: foresees the loss of weights rounded by gptq, and rounding to nearest loses more: give "
      "--quantizer gptq, or run llmpq sensitivity without it",
      file);
  if (job.quantizer != foreseen)
    log_info(
        "{} foresees the loss of rounding to nearest: what is promised is for that, and gptq as a "
        "rule loses less (llmpq sensitivity --quantizer gptq foresees its own)",
        file);
}

}  // namespace

std::optional<Sensitivity> sensitivity_of(const Job& job, const Checkpoint& checkpoint) {
  if (job.sensitivity.empty()) return std::nullopt;
  Sensitivity sensitivity = load_sensitivity(job.sensitivity, checkpoint);
  if (sensitivity.quality) check_quantizer(job, sensitivity.quantizer);
  return sensitivity;
}

void add_quality(const Job& job, const std::optional<Sensitivity>& sensitivity, bool random_will_do,
                 const ModelConfig& config, PlanningData& data) {
  data.seed = job.seed;
  if (sensitivity) {
    data.quality = sensitivity->quality;
    data.quality_quantizer = sensitivity->quantizer;
    data.omega = data.quality ? data.quality->loss_increase : sensitivity->omega;
  }
  if (!job.format.empty()) return;  // of a run that goes on, they are what they were
  CHECK(!job.theta || sensitivity || random_will_do, Exit::kUsage,
        "theta needs --sensitivity FILE: llmpq sensitivity measures what bits cost this model");
  data.theta = job.theta.value_or(0);
  if (!job.max_perplexity_increase.empty()) data.max_omega = largest_sum(job, data);
  if (job.average_bits) {
    data.preference = data.omega;
    data.omega = missing_bits(config.layers);
    data.max_omega = static_cast<double>(config.layers) * (kMostBits - *job.average_bits);
  }
}

std::string quality_that_fits(const Job& job, const PlanningData& data, double least_omega) {
  if (job.average_bits) {
    const auto layers = static_cast<double>(data.omega.size());
    const double most = std::floor(100 * (kMostBits - least_omega / layers)) / 100;
    return fmt::format(
        "{}: no plan that fits has {} bits on average. What would fit: --average-bits {:.2f}",
        data.name, *job.average_bits, most);
  }
  return fmt::format(
      "{}: no plan that fits keeps the perplexity within {}. What would fit: "
      "--max-perplexity-increase {}",
      data.name, job.max_perplexity_increase, increase_text(*data.quality, least_omega));
}

}  // namespace llmpq
