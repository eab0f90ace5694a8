#include "commands/decide.hpp"

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/log.hpp"
#include "commands/planning_data.hpp"
#include "commands/stored_formats.hpp"
#include "commands/strategies.hpp"
#include "kernels/check.hpp"
#include "layer/weights.hpp"
#include "plan/explain.hpp"
#include "plan/plan_json.hpp"

namespace llmpq {
namespace {

constexpr int64_t kLargestPlan = 256 << 20;  ///< bytes of a plan file

PlanResult plan_of_file(const Job& job, const PlanRequest& request) {
  const std::string file = read_file(job.plan, kLargestPlan, Exit::kUsage);
  return complete_plan(request, parse_plan(file, job.plan.string(), format_16bit(request)));
}

struct Made {
  Plan plan;
  std::string reason;
  std::optional<SimulationResult> predicted;
  std::optional<JointPlan> solution;  ///< where times made the plan
};

/// A plan from a file, and one by hand, are what they are.
bool leaves_choices(const Job& job) {
  return job.plan.empty() && job.strategy != Strategy::kManual;
}

/// A plan that was not made by times, and what they say of it.
Made predicted(const PlanRequest& request, const PlanningData& data, PlanResult result) {
  Made made{std::move(result.plan), std::move(result.reason), {}, {}};
  fill_promised_quality(data, made.plan);
  if (const std::string missing = missing_times(made.plan, data); !missing.empty()) {
    log_info("no speed is promised: {}", missing);
    return made;
  }
  fill_stage_seconds(request, data, made.plan);
  made.predicted = predict(made.plan, request, data);
  made.plan.figures.simulated_s = made.predicted->seconds;
  return made;
}

/// Where the optimizer's rougher sums of memory say that nothing fits, solve() has the last word,
/// and the sentence about what would fit.
Made plan_by_memory(const Job& job, const PlanRequest& request, const PlanningData& data) {
  PlanResult result = solve(request, job.strategy);
  CHECK(!data.max_omega, Exit::kNoPlan,
        "{}: no plan that fits keeps the wish for quality; without it: {}", data.name,
        result.reason);
  return predicted(request, data, std::move(result));
}

/// Equal stages may have room for less than joint's quality, where nobody wished for quality.
bool less_will_do(const Job& job, const PlanningData& data) {
  return job.strategy == Strategy::kUniform && !data.max_omega && data.theta == 0;
}

Made plan_by_times(const Job& job, const PlanRequest& request, const PlanningData& data) {
  const auto joint = solve_jointly(job, request, data);
  if (!joint) return plan_by_memory(job, request, data);
  BaselineJob chosen = plan_of_strategy(job, request, data, *joint);
  if (!chosen.made && less_will_do(job, data)) return plan_by_memory(job, request, data);
  JointPlan made = made_plan(data, std::move(chosen));
  return {made.plan, made.reason, made.predicted, std::move(made)};
}

Made plan_without_times(const Job& job, const PlanRequest& request,
                        const std::optional<PlanningData>& data) {
  if (leaves_choices(job) && is_baseline(job.strategy))
    log_info("no prompts whose lengths strategy {} could plan for: planned by memory alone",
             name(job.strategy));
  PlanResult result = job.plan.empty() ? solve(request, job.strategy) : plan_of_file(job, request);
  result.plan.figures.simulated_s.reset();  // of a file: of other machines, maybe
  if (!data) return {std::move(result.plan), std::move(result.reason), {}, {}};
  return predicted(request, *data, std::move(result));
}

Made make_plan(const Job& job, const PlanRequest& request,
               const std::optional<PlanningData>& data) {
  Made made = leaves_choices(job) && data ? plan_by_times(job, request, *data)
                                          : plan_without_times(job, request, data);
  if (made.predicted) made.predicted->finish_s.clear();
  return made;
}

/// Where the formats are those of an earlier run and need not be kept, others are taken if those do
/// not fit any more.
Made make_or_change_plan(Job job, const Input& input, const Machines& machines,
                         const std::optional<PlanningData>& data) {
  try {
    return make_plan(job, plan_request(job, input, machines), data);
  } catch (const Error& error) {
    if (error.code() != Exit::kNoPlan || !job.allow_format_change) throw;
    log_warning("the formats of the rows that are done do not fit any more: {}", error.what());
  }
  job.format.clear();
  job.head_format.reset();
  return make_plan(job, plan_request(job, input, machines), data);
}

/// Why 16 bit is not the checkpoint's own format.
void tell_of_old_gpus(const Input& input, const Machines& machines) {
  const Format own = format_16bit(input.checkpoint->config());
  for (const RankReport& rank : machines.inventory) {
    if (multiplies(rank.compute_capability, own)) continue;
    return log_info(
        "16 bit means f16 in this job, for weights of {}: rank {} computes on {}, "
        "which has no products of {}",
        name(own), rank.rank, rank.device, name(own));
  }
}

std::string promises(const Made& made) {
  std::string text;
  if (made.predicted)
    text = fmt::format("; promised: {:.4g} output tokens/s, {:.3g} s",
                       made.predicted->output_tokens_per_s(), made.predicted->seconds);
  const std::string quality = promised_quality(made.plan.figures);
  return quality.empty() ? text : text + "; " + quality;
}

}  // namespace

Decision decide(const Mpi& mpi, const Job& given, const Input& input, const Machines& machines) {
  const Job job = with_stored_formats(mpi, given, *input.checkpoint);
  const auto data = find_planning_data(
      mpi, job, input, machines, leaves_choices(job) ? Measuring::kAllowed : Measuring::kNever);
  Decision decision;
  std::string text;
  mpi.agreed([&] {
    if (mpi.rank() != 0) return;
    if (job.format.empty()) tell_of_old_gpus(input, machines);
    Made made = make_or_change_plan(job, input, machines, data);
    log_info("plan: {}{}", made.reason, promises(made));
    text = to_json(made.plan);
    if (!job.save_plan.empty()) write_file_atomically(job.save_plan, text, Exit::kOutput);
    decision.predicted = std::move(made.predicted);
    decision.solution = std::move(made.solution);
  });
  decision.plan = parse_plan(mpi.broadcast(text), "the plan that rank 0 sent");
  return decision;
}

}  // namespace llmpq
