#include "commands/plan_problem.hpp"

#include <cstdio>

#include "base/file.hpp"
#include "commands/places.hpp"
#include "commands/plan_views.hpp"
#include "kernels/check.hpp"
#include "plan/problem_json.hpp"
#include "plan/solution.hpp"

namespace llmpq {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 30;

std::string text_of(const Job& job, const Problem& problem, const Planned& planned) {
  const std::string changes = what_would_change(job, problem, planned);
  if (job.json) return changes.empty() ? to_json(problem, planned) : changes;
  return describe(problem, planned) + (changes.empty() ? "" : "\n" + changes);
}

}  // namespace

int run_plan_problem(const Job& job) {
  check_places(job, Command::kPlan);
  const Problem problem =
      parse_problem(read_file(job.problem, kMostBytes, Exit::kUsage), job.problem.string());
  const OptimizeOptions options = optimize_options(job);
  if (job.strategy == Strategy::kAll)
    return print_comparison(job, problem, compare(problem, options));
  if (job.sweep != "none") return print_sweep(job, problem);
  const Planned planned = plan_by(planner_of(job.strategy), problem, options);
  CHECK(planned.found, Exit::kNoPlan, "{}: {} has no plan: {}", job.problem.string(),
        name(planned.planner), planned.note);
  if (!job.save_plan.empty())
    write_file_atomically(job.save_plan, to_json(problem, planned), Exit::kOutput);
  draw_plan(job, problem, planned);
  const std::string text = text_of(job, problem, planned);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace llmpq
