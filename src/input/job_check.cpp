// Checks that need more than one option.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "input/job_options.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

std::vector<std::string> required_by(const Job& job, Command command) {
  switch (command) {
    case Command::kGenerate:
      return {"model", "prompts", "output"};
    case Command::kPlan:  // a cluster file names a shape, a problem file needs none
      return job.cluster.empty() && job.problem.empty() ? std::vector<std::string>{"model"}
                                                        : std::vector<std::string>{};
    case Command::kProfile:
    case Command::kBench:
    case Command::kEval:
      return {"model"};
    case Command::kSensitivity:
      return {"model", "save-sensitivity"};
    case Command::kConvert:
      return {"input", "output"};
    case Command::kInspect:
    case Command::kCheck:
      break;
  }
  return {};
}

void check_required(const Job& job, Command command) {
  for (const auto& required : required_by(job, command)) {
    const Option& option = *find_option(required, command);
    const bool has_job_file = command != Command::kConvert;
    CHECK(!option.binding.get(job).empty(), Exit::kUsage, "{} needs --{} {}{}", name(command),
          option.name, option.unit,
          has_job_file ? fmt::format(" (or {} = \"...\" in the job file)", option.name) : "");
  }
  CHECK(command != Command::kInspect || !job.file.empty(), Exit::kUsage,
        "inspect needs a file: llmpq inspect FILE");
}

/// What is given of the options that say how much quality may be lost.
std::vector<std::string> quality_wishes(const Job& job) {
  std::vector<std::string> given;
  if (job.theta) given.emplace_back("theta");
  if (job.average_bits) given.emplace_back("average-bits");
  if (!job.max_perplexity_increase.empty()) given.emplace_back("max-perplexity-increase");
  return given;
}

void check_quality(const Job& job, Command command) {
  const auto wishes = quality_wishes(job);
  CHECK(wishes.size() <= 1, Exit::kUsage, "{} are wishes for quality: give only one of them",
        fmt::join(wishes, " and "));
  CHECK(job.max_perplexity_increase.empty() || parse_percent(job.max_perplexity_increase),
        Exit::kUsage,
        "max-perplexity-increase is \"{}\": want a number above 0 with a percent sign, such as 1%",
        job.max_perplexity_increase);
  if (wishes.empty()) return;
  CHECK(
      command != Command::kEval || !job.prompts.empty(), Exit::kUsage,
      "{} trades quality for the speed of a job with prompts: give --prompts FILE, or say what is "
      "judged by --format or --plan",
      wishes[0]);
  CHECK(job.format.empty(), Exit::kUsage,
        "format says which formats the layers have, and {} leaves them to the plan: give only one "
        "of them",
        wishes[0]);
  const auto& listed = job.strategies;
  const bool manual =
      job.strategy == Strategy::kManual ||
      std::find(listed.begin(), listed.end(), name(Strategy::kManual)) != listed.end();
  CHECK(!manual && job.plan.empty() && job.problem.empty(), Exit::kUsage,
        "{} is a wish for strategies that choose formats: leave out plan, problem and strategy "
        "manual",
        wishes[0]);
}

}  // namespace

std::optional<double> parse_percent(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!(value > 0) || !std::isfinite(value)) return std::nullopt;
  return value / 100;
}

void check_job(const Job& job, Command command) {
  check_required(job, command);
  check_quality(job, command);
  CHECK(command != Command::kSensitivity || !job.text.empty() || !job.prompts.empty(), Exit::kUsage,
        "sensitivity needs --text FILE or --prompts FILE to see what the model sees");
  CHECK(command != Command::kEval || !job.text.empty() || !job.tasks.empty(), Exit::kUsage,
        "eval needs --text FILE or --tasks FILE, or both, to see what the model makes of it");
  CHECK(command != Command::kEval || !job.divergence || !job.text.empty(), Exit::kUsage,
        "divergence compares what two models make of a text: give --text FILE too");
  CHECK(job.rows.empty() || job.shard.empty(), Exit::kUsage,
        "rows is \"{}\" and shard is \"{}\": give only one of them", job.rows, job.shard);
  CHECK(job.sampling.min_tokens <= job.sampling.max_tokens, Exit::kUsage,
        "min-tokens is {}, more than max-tokens, which is {}", job.sampling.min_tokens,
        job.sampling.max_tokens);
  CHECK(job.cluster.empty() || job.prompts.empty(), Exit::kUsage,
        "cluster and prompts are both given: a cluster file brings its own workload");
  CHECK(job.problem.empty() || job.cluster.empty(), Exit::kUsage,
        "problem and cluster both say what to plan for: give only one of them");
  CHECK(job.save_problem.empty() || (job.strategy == Strategy::kJoint && job.plan.empty()),
        Exit::kUsage,
        "save-problem writes what strategy joint solves: leave out plan and other strategies");
  const bool cuts = !job.layers_per_stage.empty();
  CHECK(job.plan.empty() || !cuts, Exit::kUsage,
        "plan and layers-per-stage both say which layers go where: give only one of them");
  CHECK(job.strategy != Strategy::kManual || cuts || !job.plan.empty(), Exit::kUsage,
        "strategy manual needs --layers-per-stage N0,N1,...");
  const bool described = !job.problem.empty() || !job.cluster.empty();
  CHECK(job.strategy != Strategy::kAll || command == Command::kPlan, Exit::kUsage,
        "strategy all compares plans and runs none: llmpq plan does that; to run one, name its "
        "strategy");
  const bool views = !job.svg.empty() || job.explain || job.sweep != "none";
  CHECK(command != Command::kPlan || described || !job.prompts.empty() ||
            (!is_baseline(job.strategy) && !views),
        Exit::kUsage,
        "strategies pipeedge, adabits, llm-pq and all, svg, explain and sweep plan for the lengths "
        "of prompts: give --prompts FILE, --cluster FILE or --problem FILE");
  CHECK(!job.explain || (job.strategy == Strategy::kJoint && job.sweep == "none"), Exit::kUsage,
        "explain tells what limits the best plan: leave out strategy and sweep");
  CHECK(job.problem.empty() || !(job.max_batch || job.max_context || job.min_bits), Exit::kUsage,
        "max-batch, max-context and min-bits ask about a model: a problem file has its numbers "
        "fixed; give --cluster, or --model and ranks");
  CHECK(job.max_batch + job.max_context + job.min_bits <= 1, Exit::kUsage,
        "max-batch, max-context, min-bits: ask one question at a time");
  CHECK(!job.min_bits || job.format.empty(), Exit::kUsage,
        "min-bits asks which format fits, and format names it: give only one of them");
  CHECK(job.strategy != Strategy::kAll || job.save_plan.empty(), Exit::kUsage,
        "strategy all makes several plans: to save one, name its strategy");
  CHECK(job.output.empty() || job.output != job.prompts, Exit::kUsage,
        "output and prompts are the same file: {}", job.output.string());
}

}  // namespace llmpq
