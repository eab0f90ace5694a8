#include "plan/explain.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.hpp"
#include "base/table.hpp"
#include "plan/memory_model.hpp"

namespace llmpq {
namespace {

constexpr double kBusy = 0.9;  ///< share of the run beyond which a stage or link is what limits

std::string percent(double part, double whole) {
  return fmt::format("{:.0f} %", whole > 0 ? 100 * part / whole : 0);
}

std::string milliseconds(const std::optional<double>& seconds) {
  return seconds ? fmt::format("{:.3g}", 1000 * *seconds) : "";
}

std::string speed(const SimulationResult& run) {
  return fmt::format(
      "predicted: {:.4g} s, {:.4g} output tokens/s ({:.4g} prompt tokens/s beside them); the first "
      "row after {:.3g} s\n",
      run.seconds, run.output_tokens_per_s(), run.prompt_tokens_per_s(), run.first_row_s);
}

std::string stage_table(const PlanRequest& request, const Plan& plan, const SimulationResult& run) {
  Table table({"stage", "rank", "device", "bits", "chunk ms", "decode ms", "prefill", "decode",
               "mixed", "idle"});
  const auto& stages = plan.pipelines.at(0).stages;
  for (size_t i = 0; i < stages.size(); ++i) {
    const StagePlan& stage = stages[i];
    const int rank = stage.ranks.at(0);
    const SimulatedStage& times = run.stages.at(i);
    table.add({std::to_string(i), std::to_string(rank),
               request.ranks.at(static_cast<size_t>(rank)).device, bit_strip(stage.formats),
               milliseconds(stage.prefill_s), milliseconds(stage.decode_s),
               percent(times.busy_s.prefill, run.seconds),
               percent(times.busy_s.decode, run.seconds), percent(times.busy_s.mixed, run.seconds),
               percent(times.idle_s, run.seconds)});
  }
  return table.text();
}

/// The busiest stage, or a link if one is busier.
std::string time_limit(const Plan& plan, const SimulationResult& run) {
  const auto& stages = plan.pipelines.at(0).stages;
  const auto stage = std::max_element(
      run.stages.begin(), run.stages.end(),
      [](const auto& a, const auto& b) { return a.busy_s.sum() < b.busy_s.sum(); });
  const auto index = static_cast<size_t>(stage - run.stages.begin());
  double most = stage->busy_s.sum();
  std::string what = fmt::format("stage {} (rank {})", index, stages.at(index).ranks.at(0));
  for (size_t link = 0; link < run.link_busy_s.size(); ++link)
    if (run.link_busy_s[link] > most) {
      most = run.link_busy_s[link];
      what = fmt::format("the link from stage {} to stage {}", link, link + 1);
    }
  if (most >= kBusy * run.seconds)
    return fmt::format("time: {} limits, busy {} of the run", what, percent(most, run.seconds));
  return fmt::format(
      "time: no stage limits alone ({}, the busiest, {} of the run): steps wait on their way "
      "around all stages, while the lanes fill and drain, or for the other phase",
      what, percent(most, run.seconds));
}

std::string memory_limit(const PlanRequest& request, const Plan& plan) {
  const auto memory = predict_memory(request, plan);
  const auto fullest = std::max_element(
      memory.begin(), memory.end(),
      [](const auto& a, const auto& b) { return a.budget - a.total() > b.budget - b.total(); });
  const int64_t left = fullest->budget - fullest->total();
  const auto index = static_cast<size_t>(fullest - memory.begin());
  return fmt::format("memory: stage {} (rank {}) has least to spare, {} of {}", index,
                     fullest->rank, bytes_text(left), bytes_text(fullest->budget));
}

std::string proof(const PlanFigures& figures) {
  if (!figures.objective || !figures.lower_bound) return "";
  const double best = figures.best_objective.value_or(*figures.objective);
  const double gap = best > 0 ? 100 * (1 - *figures.lower_bound / best) : 0;
  const double time_s = figures.time_s.value_or(0);
  const std::string priced =
      *figures.objective == time_s
          ? ""
          : fmt::format(", {:.4g} s with omega at its price", *figures.objective);
  const std::string other =
      figures.best_objective
          ? fmt::format(", and {:.4g} s for one that the simulator found slower", best)
          : "";
  return fmt::format(
      "by formula: {:.4g} s, omega {:.4g}{}{}; no plan is below {:.4g} s (gap {:.2f} %), solved in "
      "{:.0f} ms\n",
      time_s, figures.omega.value_or(0), priced, other, *figures.lower_bound, gap,
      1000 * figures.solve_s.value_or(0));
}

}  // namespace

std::string promised_quality(const PlanFigures& figures) {
  if (!figures.perplexity_increase) return "";
  const auto& quantizer = figures.perplexity_quantizer;
  return fmt::format("promised quality: perplexity {:+.2f} % over 16 bit{}",
                     100 * *figures.perplexity_increase,
                     quantizer ? fmt::format(" for weights rounded by {}", name(*quantizer)) : "");
}

std::string bit_strip(std::span<const Format> formats) {
  std::string text;
  for (size_t i = 0; i < formats.size(); ++i) {
    if (i > 0 && i % 4 == 0) text += ' ';
    text += is_16bit(formats[i]) ? "G" : std::to_string(info(formats[i]).bits);
  }
  return text;
}

std::string explain(const PlanRequest& request, const Plan& plan,
                    const SimulationResult& predicted) {
  const std::string quality = promised_quality(plan.figures);
  return speed(predicted) + stage_table(request, plan, predicted) + time_limit(plan, predicted) +
         "\n" + memory_limit(request, plan) + "\n" + proof(plan.figures) +
         (quality.empty() ? "" : quality + "\n");
}

}  // namespace llmpq
