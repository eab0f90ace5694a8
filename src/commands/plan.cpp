#include "commands/plan.hpp"

#include <cstdio>

#include "base/log.hpp"
#include "commands/decide.hpp"
#include "commands/places.hpp"
#include "commands/plan_cluster.hpp"
#include "commands/plan_problem.hpp"
#include "commands/plan_questions.hpp"
#include "commands/plan_views.hpp"
#include "commands/planning_data.hpp"
#include "commands/prepare.hpp"
#include "commands/stored_formats.hpp"
#include "commands/strategies.hpp"
#include "kernels/check.hpp"
#include "plan/describe.hpp"
#include "plan/explain.hpp"
#include "plan/plan_json.hpp"

namespace llmpq {

namespace {

/// Collective.
int print_several_plans(const Mpi& mpi, const Job& job, const Input& input,
                        const Machines& machines) {
  const auto data = find_planning_data(mpi, job, input, machines, Measuring::kAllowed);
  mpi.agreed([&] {
    if (mpi.rank() != 0) return;
    CHECK(data, Exit::kUsage, "{}: no prompt can be run, so there is nothing to plan for",
          job.prompts.string());
    print_several(job, plan_request(job, input, machines), *data);
  });
  return 0;
}

/// --svg and --explain, which are about the problem that the plan solves. "" if the job does not
/// ask for the latter.
std::string show_solution(const Job& job, const Decision& decision) {
  if (job.svg.empty() && !job.explain) return "";
  CHECK(decision.solution, Exit::kUsage,
        "svg and explain show what times say of a plan, and this one is made without: give "
        "--profile or --profile-seconds, and no --plan or strategy manual");
  const Planned planned = planned_of(*decision.solution);
  draw_plan(job, decision.solution->problem, planned);
  return what_would_change(job, decision.solution->problem, planned);
}

std::string text_of(const Job& job, const PlanRequest& request, const Machines& machines,
                    const Decision& decision) {
  const std::string changes = show_solution(job, decision);
  if (job.json) return changes.empty() ? to_json(decision.plan) : changes;
  std::string text = describe(machines.inventory) + "\n" + describe(request, decision.plan);
  if (decision.predicted) text += explain(request, decision.plan, *decision.predicted);
  return text + changes;
}

}  // namespace

int run_plan(const Job& given) {
  if (!given.problem.empty()) return run_plan_problem(given);
  if (!given.cluster.empty()) return run_plan_cluster(given);
  set_log_level(given.log_level);
  const Mpi mpi;
  check_places(mpi, given, Command::kPlan);
  const Input input = load_input(mpi, given);
  const Job job = with_stored_formats(mpi, given, *input.checkpoint);
  const Machines machines = find_machines(mpi, job);
  if (asks_question(job))
    return mpi.rank() == 0 ? answer_question(job, plan_request(job, input, machines)) : 0;
  if (asks_for_several(job)) return print_several_plans(mpi, job, input, machines);
  const Decision decision = decide(mpi, job, input, machines);
  mpi.agreed([&] {
    if (mpi.rank() != 0) return;
    const auto text = text_of(job, plan_request(job, input, machines), machines, decision);
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
  return 0;
}

}  // namespace llmpq
