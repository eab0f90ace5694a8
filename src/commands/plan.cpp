#include "commands/plan.hpp"

#include <cstdio>

#include "base/log.hpp"
#include "commands/decide.hpp"
#include "commands/plan_cluster.hpp"
#include "commands/plan_problem.hpp"
#include "commands/plan_questions.hpp"
#include "commands/prepare.hpp"
#include "plan/describe.hpp"
#include "plan/explain.hpp"
#include "plan/plan_json.hpp"

namespace llmpq {

int run_plan(const Job& job) {
  if (!job.problem.empty()) return run_plan_problem(job);
  if (!job.cluster.empty()) return run_plan_cluster(job);
  set_log_level(job.log_level);
  const Mpi mpi;
  const Input input = load_input(mpi, job);
  const Machines machines = find_machines(mpi, job);
  if (asks_question(job))
    return mpi.rank() == 0 ? answer_question(job, plan_request(job, input, machines)) : 0;
  const Decision decision = decide(mpi, job, input, machines);
  if (mpi.rank() != 0) return 0;
  const PlanRequest request = plan_request(job, input, machines);
  std::string text = to_json(decision.plan);
  if (!job.json) {
    text = describe(machines.inventory) + "\n" + describe(request, decision.plan);
    if (decision.predicted) text += explain(request, decision.plan, *decision.predicted);
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace llmpq
