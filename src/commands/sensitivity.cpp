#include "commands/sensitivity.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <tuple>

#include "base/json.hpp"
#include "base/log.hpp"
#include "base/table.hpp"
#include "commands/calibration.hpp"
#include "commands/decide.hpp"
#include "commands/places.hpp"
#include "commands/scoring.hpp"
#include "kernels/check.hpp"
#include "layer/weights.hpp"
#include "plan/describe.hpp"
#include "profile/sensitivity_file.hpp"

namespace llmpq {
namespace {

/// What all runs have in common.
struct Bench {
  const Mpi& mpi;
  const Job& job;
  const Input& input;
  const Machines& machines;
  const std::vector<ScoreWindow>& windows;  ///< rank 0's
};

/// A window for each prompt, until there are `most` tokens.
std::vector<ScoreWindow> prompt_windows(const Job& job, const Input& input, int64_t window,
                                        int64_t most) {
  FeedSetup setup = input.feed;
  setup.num_samples = 1;
  setup.truncate = TruncateSide::kRight;
  std::vector<ScoreWindow> windows;
  for (auto& tokens : prompt_texts(job, input, setup, window, most))
    windows.push_back({std::move(tokens), 1});
  return windows;
}

/// Rank 0: the calibration texts; hardly a token is seen twice.
std::vector<ScoreWindow> read_windows(const Job& job, const Input& input) {
  CHECK(job.quantizer == Quantizer::kRtn || !job.text.empty() || !job.calibration_text.empty(),
        Exit::kUsage,
        "--quantizer gptq is calibrated on the prompts, and sensitivity would score the same ones: "
        "what it finds would be too good; give another --text FILE or --calibration-text FILE");
  const int64_t window = window_tokens(job, input), most = job.calibration_tokens;
  if (job.text.empty()) return prompt_windows(job, input, window, most);
  std::vector<int32_t> tokens = text_tokens(job, input);
  tokens.resize(std::min(tokens.size(), static_cast<size_t>(most)));
  return make_windows(tokens, window, job.stride.value_or(window - 1));
}

/// The windows scored with these formats; other options of the job say where layers go.
std::vector<WindowScore> score(const Bench& bench, const std::vector<Format>& formats,
                               LayerObserver* observer, Plan* used = nullptr) {
  const Job job = scoring_job(bench.job, formats);
  const Plan plan = decide(bench.mpi, job, bench.input, bench.machines).plan;
  if (used) *used = plan;
  return score_windows(bench.mpi, {.job = job,
                                   .input = bench.input,
                                   .machines = bench.machines,
                                   .plan = plan,
                                   .windows = bench.windows,
                                   .observer = observer});
}

ByFormat omega_of(Indicator indicator, const LayerEvidence& evidence) {
  const ByFormat omega = indicator == Indicator::kVariance  ? variance_omega(evidence)
                         : indicator == Indicator::kHessian ? hessian_omega(evidence)
                                                            : relative_omega(evidence);
  for (const double value : omega)
    CHECK(std::isfinite(value), Exit::kModel,
          "layer {}: its weights or activations on this text are not finite, so nothing can be "
          "foreseen; is the checkpoint damaged?",
          evidence.layer);
  return omega;
}

void warn_of_unseen(const std::vector<int64_t>& unseen, int64_t experts) {
  const auto all = std::accumulate(unseen.begin(), unseen.end(), int64_t{0});
  if (all > 0)
    log_warning(
        "{} of the {} experts of all layers saw no token of the text: nothing is known of them and "
        "they add nothing to omega; more --calibration-tokens may reach them",
        all, experts * std::ssize(unseen));
}

/// Each rank computes its own layers'; rank 0 gets all, by layer. Collective.
std::vector<ByFormat> gather_omega(const Bench& bench, const Plan& plan,
                                   const StatisticsObserver& observer) {
  const Mpi& mpi = bench.mpi;
  const ModelConfig& config = bench.input.checkpoint->config();
  nlohmann::json mine = nlohmann::json::array();
  mpi.agreed([&] {
    for (const StagePlan& stage : plan.pipelines.at(0).stages)
      for (int64_t layer = stage.layer_begin; layer < stage.layer_end; ++layer)
        if (stage.ranks.at(0) == mpi.rank())
          mine.push_back(
              {layer,
               omega_of(bench.job.indicator, {*bench.input.checkpoint, layer, observer.of(layer),
                                              bench.machines.report().threads}),
               unseen_experts(observer.of(layer), config.experts)});
  });
  std::vector<ByFormat> omega(static_cast<size_t>(config.layers));
  std::vector<int64_t> unseen(omega.size());
  for (const std::string& text : mpi.gather(dump_json(mine)))
    for (const auto& [layer, values, experts] :
         nlohmann::json::parse(text).get<std::vector<std::tuple<size_t, ByFormat, int64_t>>>()) {
      omega.at(layer) = values;
      unseen.at(layer) = experts;
    }
  warn_of_unseen(unseen, config.experts);
  return omega;
}

CalibrationRun compare(const std::vector<WindowScore>& base, const std::vector<WindowScore>& scores,
                       const std::vector<Format>& formats) {
  const Estimate increase = loss_increase(base, scores);
  return {formats, increase.value, increase.error.value_or(0)};
}

/// The runs with rounded weights and what they teach; rank 0's result counts. Collective.
std::optional<Quality> calibrate(const Bench& bench, const std::vector<WindowScore>& base,
                                 const std::vector<ByFormat>& omega) {
  const ModelConfig& config = bench.input.checkpoint->config();
  std::vector<CalibrationRun> runs;
  for (const auto& formats : calibration_formats(config.layers, format_16bit(config),
                                                 bench.job.calibration_runs, bench.job.seed)) {
    const auto scores = score(bench, formats, nullptr);
    if (bench.mpi.rank() != 0) continue;
    runs.push_back(compare(base, scores, formats));
    log_info("calibration run {} of {}: {}: perplexity {:+.3f} % +- {:.3f}", runs.size(),
             bench.job.calibration_runs, run_lengths(formats),
             100 * std::expm1(runs.back().loss_increase), 100 * runs.back().error);
  }
  if (runs.empty()) return std::nullopt;
  auto quality = fit_quality(omega, std::move(runs));
  if (!quality)
    log_warning(
        "no run with rounded weights hurts beyond twice its error: omega keeps no unit; give more "
        "--calibration-tokens");
  return quality;
}

constexpr std::array kColumns{Format::kW8, Format::kW4, Format::kW3};

nlohmann::ordered_json columns_of(const std::vector<ByFormat>& table) {
  nlohmann::ordered_json json;
  for (const Format format : kColumns)
    for (const ByFormat& layer : table)
      json[std::string(name(format))].push_back(layer[static_cast<size_t>(format)]);
  return json;
}

void print_json(const Sensitivity& found, double perplexity) {
  nlohmann::ordered_json json{{"indicator", name(found.indicator)},
                              {"quantizer", name(found.quantizer)},
                              {"perplexity", perplexity},
                              {"tokens", found.tokens},
                              {"omega", columns_of(found.omega)}};
  if (found.quality) {
    json["loss_increase"] = columns_of(found.quality->loss_increase);
    json["relative_error"] = found.quality->relative_error;
  }
  fmt::print("{}\n", dump_json(json));
}

/// omega by layer, and the foreseen increase of the perplexity by that layer alone.
void print_table(const Sensitivity& found, double perplexity) {
  Table table({"layer", "omega w8", "w4", "w3", "perplexity w8", "w4", "w3"});
  for (size_t i = 0; i < found.omega.size(); ++i) {
    std::vector<std::string> cells{std::to_string(i)};
    for (const Format format : kColumns)
      cells.push_back(fmt::format("{:.3g}", found.omega[i][static_cast<size_t>(format)]));
    if (found.quality)
      for (const Format format : kColumns)
        cells.push_back(fmt::format(
            "{:+.4f}%",
            100 * std::expm1(found.quality->loss_increase[i][static_cast<size_t>(format)])));
    table.add(std::move(cells));
  }
  fmt::print("{}perplexity of 16 bit {:.5f} over {} tokens; indicator {}\n", table.text(),
             perplexity, found.tokens, name(found.indicator));
  if (found.quality)
    fmt::print(
        "weights rounded by {}: the increases of a plan's layers add up to its own, foreseen to "
        "within {:.0f} %\n",
        name(found.quantizer), 100 * found.quality->relative_error);
}

}  // namespace

int run_sensitivity(const Job& job) {
  set_log_level(job.log_level);
  const Mpi mpi;
  check_places(mpi, job, Command::kSensitivity);
  Input input = load_input(mpi, job);
  std::vector<ScoreWindow> windows;
  mpi.agreed([&] {
    CHECK(!input.checkpoint->stored(), Exit::kUsage,
          "{}: its weights are quantized already ({}): sensitivity needs the original model",
          job.model.string(), describe(*input.checkpoint->stored()));
    if (mpi.rank() != 0) return;
    windows = read_windows(job, input);
    measure_windows(windows, input);
  });
  const Machines machines = find_machines(mpi, job);
  const Bench bench{mpi, job, input, machines, windows};
  const ModelConfig& config = input.checkpoint->config();

  StatisticsObserver observer(*machines.backend);
  Plan plan;
  const auto base = score(bench, {format_16bit(config)}, &observer, &plan);
  Sensitivity found;
  found.indicator = job.indicator;
  found.quantizer = job.quantizer;
  found.model_hash = input.checkpoint->content_hash();
  found.seed = job.seed;
  found.tokens = total(base).tokens;
  found.omega = job.indicator == Indicator::kRandom ? random_omega(config.layers, job.seed)
                                                    : gather_omega(bench, plan, observer);
  found.quality = calibrate(bench, base, found.omega);
  mpi.agreed([&] {
    if (mpi.rank() != 0) return;
    save_sensitivity(job.save_sensitivity, found);
    const double perplexity = std::exp(total(base).mean_loss());
    job.json ? print_json(found, perplexity) : print_table(found, perplexity);
  });
  return 0;
}

}  // namespace llmpq
