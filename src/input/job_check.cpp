// Checks that need more than one option.
#include <fmt/format.h>

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
      return {"model"};
    case Command::kEval:
      return {"model", "text"};
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

}  // namespace

void check_job(const Job& job, Command command) {
  check_required(job, command);
  CHECK(command != Command::kSensitivity || job.text.empty() != job.prompts.empty(), Exit::kUsage,
        "sensitivity needs --text FILE or --prompts FILE, one of them, to see what the model sees");
  CHECK(job.rows.empty() || job.shard.empty(), Exit::kUsage,
        "rows is \"{}\" and shard is \"{}\": give only one of them", job.rows, job.shard);
  CHECK(job.sampling.min_tokens <= job.sampling.max_tokens, Exit::kUsage,
        "min-tokens is {}, more than max-tokens, which is {}", job.sampling.min_tokens,
        job.sampling.max_tokens);
  CHECK(job.cluster.empty() || job.prompts.empty(), Exit::kUsage,
        "cluster and prompts are both given: a cluster file brings its own workload");
  CHECK(job.problem.empty() || job.cluster.empty(), Exit::kUsage,
        "problem and cluster both say what to plan for: give only one of them");
  CHECK(job.save_problem.empty() || !job.cluster.empty(), Exit::kUsage,
        "save-problem needs --cluster FILE in this version");
  const bool cuts = !job.layers_per_stage.empty();
  CHECK(job.plan.empty() || !cuts, Exit::kUsage,
        "plan and layers-per-stage both say which layers go where: give only one of them");
  CHECK(job.strategy != Strategy::kManual || cuts || !job.plan.empty(), Exit::kUsage,
        "strategy manual needs --layers-per-stage N0,N1,...");
  CHECK(job.output.empty() || job.output != job.prompts, Exit::kUsage,
        "output and prompts are the same file: {}", job.output.string());
}

}  // namespace llmpq
