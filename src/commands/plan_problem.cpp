#include "commands/plan_problem.hpp"

#include <cstdio>

#include "base/file.hpp"
#include "base/timer.hpp"
#include "kernels/check.hpp"
#include "plan/optimize.hpp"
#include "plan/problem_json.hpp"
#include "plan/solution.hpp"

namespace llmpq {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 30;

Optimum solve_problem(const Job& job, const Problem& problem) {
  const Optimum optimum =
      optimize(problem, {job.optimality_gap, job.plan_time_limit, steady_seconds});
  CHECK(optimum.status != OptimizeStatus::kInfeasible, Exit::kNoPlan,
        "{}: it is proven that no plan keeps memory{} on these devices", job.problem.string(),
        problem.max_omega ? " and the bound on omega" : "");
  CHECK(optimum.status == OptimizeStatus::kFound, Exit::kNoPlan,
        "{}: no plan was found within {:.1f} s; there may be one: give more time with "
        "--plan-time-limit",
        job.problem.string(), optimum.solve_s);
  return optimum;
}

}  // namespace

int run_plan_problem(const Job& job) {
  const Problem problem =
      parse_problem(read_file(job.problem, kMostBytes, Exit::kUsage), job.problem.string());
  const Optimum optimum = solve_problem(job, problem);
  const std::string plan = to_json(problem, optimum);
  if (!job.save_plan.empty()) write_file_atomically(job.save_plan, plan, Exit::kOutput);
  const std::string text = job.json ? plan : describe(problem, optimum);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace llmpq
