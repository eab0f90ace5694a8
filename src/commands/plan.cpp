#include "commands/plan.hpp"

#include <cstdio>

#include "base/log.hpp"
#include "commands/plan_cluster.hpp"
#include "commands/plan_problem.hpp"
#include "commands/prepare.hpp"
#include "plan/describe.hpp"
#include "plan/plan_json.hpp"

namespace llmpq {

int run_plan(const Job& job) {
  if (!job.problem.empty()) return run_plan_problem(job);
  if (!job.cluster.empty()) return run_plan_cluster(job);
  set_log_level(job.log_level);
  const Mpi mpi;
  const Input input = load_input(mpi, job);
  const Machines machines = find_machines(mpi, job);
  const Plan plan = decide(mpi, job, input, machines);
  if (mpi.rank() != 0) return 0;
  const std::string text = job.json ? to_json(plan)
                                    : describe(machines.inventory) + "\n" +
                                          describe(plan_request(job, input, machines), plan);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace llmpq
