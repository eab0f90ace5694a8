#include "plan/joint.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/check.hpp"
#include "plan/assigned_plan.hpp"
#include "plan/least_omega.hpp"
#include "plan/narrow_problem.hpp"
#include "plan/preference.hpp"
#include "plan/search.hpp"

namespace llmpq {
namespace {

constexpr double kGapOfOthers = 0.02;  ///< of the mixes that the formula likes less
/// Times the best objective by formula: beyond it the simulator has found no plan of another mix
/// the fastest (the formula is off by up to a third where prompts are few).
constexpr double kWorthSimulating = 1.5;
constexpr size_t kPlansOfAMix = 3;    ///< that are simulated
constexpr double kJudgedSteps = 5e5;  ///< decode rows of a simulation that only compares
constexpr int64_t kFewestJudged = 1000;

/// The problem with what quality leaves of it, and its best plan by formula.
struct Chosen {
  Problem problem;
  Optimum optimum;
  std::string why;  ///< "bf16 for all layers, because ..."
};

/// Searches share a time limit.
class Solver {
 public:
  explicit Solver(const OptimizeOptions& options)
      : options_(options), end_s_(options.now_s() + options.time_limit_s) {}

  double left_s() const { return std::max(0.0, end_s_ - options_.now_s()); }
  /// A search may take a part of what is left, so that those after it get something.
  OptimizeOptions options(double gap) const {
    constexpr double kPart = 0.6;
    return {gap, kPart * left_s(), options_.now_s};
  }
  OptimizeOptions options() const { return options(options_.gap); }

  /// Nothing if it is proven that no plan keeps the rules.
  std::optional<Optimum> best(const Problem& problem) const {
    return checked(problem, optimize(problem, options()));
  }
  std::optional<Optimum> least(const Problem& problem) const {
    return checked(problem, least_omega(problem, options()));
  }

 private:
  std::optional<Optimum> checked(const Problem& problem, Optimum optimum) const {
    CHECK(optimum.status != OptimizeStatus::kNothingFound, Exit::kNoPlan,
          "{}: no plan was found within {:.1f} s; there may be one: give more time with "
          "--plan-time-limit",
          problem.name, options_.time_limit_s);
    if (optimum.status == OptimizeStatus::kInfeasible) return std::nullopt;
    return optimum;
  }

  const OptimizeOptions& options_;
  double end_s_;
};

bool has_16_bits(const std::string& name) {
  const auto format = parse_format(name);
  return format && is_16bit(*format);
}

/// The fastest plan with the smallest sum of omega.
std::optional<Chosen> choose_least_omega(const Solver& solver, const Problem& problem) {
  const auto least = solver.least(problem);
  if (!least) return std::nullopt;
  Problem bounded = problem;
  // To the gap, within which nothing is known to be better; and rounding.
  bounded.max_omega = least->score.omega * (1 + 1e-9);
  auto optimum = solver.best(bounded);
  if (!optimum) return std::nullopt;
  return Chosen{std::move(bounded), std::move(*optimum),
                fmt::format("the smallest sum of omega that fits ({:.4g})", least->score.omega)};
}

/// The highest bits for all layers that fit.
std::optional<Chosen> choose_uniform(const Solver& solver, const Problem& problem,
                                     std::string too_large) {
  for (const std::string& only : problem.formats) {
    if (has_16_bits(only)) continue;
    Problem narrow = with_formats(problem, [&](const std::string& name) { return name == only; });
    if (auto optimum = solver.best(narrow))
      return Chosen{std::move(narrow), std::move(*optimum),
                    fmt::format("{} for all layers, because {} does not fit", only, too_large)};
    too_large += ", " + only;
  }
  return std::nullopt;
}

std::optional<Chosen> choose(const Solver& solver, const PlanRequest& request,
                             const PlanningData& data, const Problem& problem) {
  const bool wish = data.theta > 0 || data.max_omega;
  if (wish || !request.wishes.formats.empty()) {
    auto optimum = solver.best(problem);
    if (!optimum) return std::nullopt;
    return Chosen{problem, std::move(*optimum),
                  wish ? "formats by the wish for quality" : "formats as asked"};
  }
  Problem narrow = with_formats(problem, has_16_bits);
  std::string widest;
  for (const std::string& name : problem.formats)
    if (has_16_bits(name)) widest += (widest.empty() ? "" : " and ") + name;
  if (!widest.empty())
    if (auto optimum = solver.best(narrow))
      return Chosen{std::move(narrow), std::move(*optimum),
                    widest + " for all layers, because nobody asked for fewer bits, and it fits"};
  if (!data.omega.empty()) return choose_least_omega(solver, problem);
  return choose_uniform(solver, problem, widest.empty() ? "16 bit" : widest);
}

/// The best plan of another mix, if it may be the fastest and there is time to find it.
std::optional<Assignment> best_of_mix(const Solver& solver, const Chosen& chosen, Mix mix,
                                      double gap) {
  const auto [narrow, rows] =
      with_batchings(chosen.problem, [&](const Batching& row) { return row.mix == mix; });
  if (rows.empty() || solver.left_s() <= 0) return std::nullopt;
  OptimizeOptions options = solver.options(std::max(gap, kGapOfOthers));
  options.worth = kWorthSimulating * chosen.optimum.score.objective;
  Optimum optimum = optimize(narrow, options);
  if (optimum.status != OptimizeStatus::kFound) return std::nullopt;
  optimum.assignment.batching = rows.at(static_cast<size_t>(optimum.assignment.batching));
  return optimum.assignment;
}

/// The same stages with the batchings of the mix that cost least by formula, the given one first.
std::vector<Assignment> neighbours(const Problem& problem, const Assignment& best) {
  const Mix mix = problem.batchings.at(static_cast<size_t>(best.batching)).mix;
  std::vector<std::pair<double, Assignment>> others;
  for (int row = 0; row < static_cast<int>(problem.batchings.size()); ++row) {
    if (row == best.batching || problem.batchings[static_cast<size_t>(row)].mix != mix) continue;
    Assignment other = best;
    other.batching = row;
    if (broken_rule(problem, other).empty())
      others.emplace_back(evaluate(problem, other).objective, std::move(other));
  }
  const size_t count = std::min(kPlansOfAMix - 1, others.size());
  std::partial_sort(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(count),
                    others.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Assignment> list{best};
  for (size_t i = 0; i < count; ++i) list.push_back(std::move(others[i].second));
  return list;
}

std::vector<Assignment> candidates(const Solver& solver, const Chosen& chosen, double gap) {
  const auto& batchings = chosen.problem.batchings;
  const Assignment& first = chosen.optimum.assignment;
  std::vector<Assignment> list = neighbours(chosen.problem, first);
  for (Mix mix : {Mix::kSeparated, Mix::kInterleaved, Mix::kMixed}) {
    if (mix == batchings.at(static_cast<size_t>(first.batching)).mix) continue;
    const auto best = best_of_mix(solver, chosen, mix, gap);
    if (!best) continue;
    for (Assignment& each : neighbours(chosen.problem, *best)) list.push_back(std::move(each));
  }
  return list;
}

/// A candidate as a plan, and what the simulator says of it.
struct Judged {
  Plan plan;
  Score score;
  double seconds = 0, objective = 0;
};

Judged judge(const PlanRequest& request, const PlanningData& data, const MadeProblem& made,
             const Assignment& assignment, int64_t most_rows) {
  Judged judged;
  judged.score = evaluate(made.problem, assignment);
  judged.plan = assigned_plan(request, made, assignment, judged.score);
  judged.plan.figures.batching = assignment.batching;
  judged.seconds = predict(judged.plan, request, data, most_rows).seconds;
  judged.objective = judged.seconds + data.theta * judged.score.omega;
  return judged;
}

/// Enough rows to compare plans by, few enough to be done soon.
int64_t judged_rows(const PlanningData& data, const PlanRequest& request) {
  const double rounds = work_of(data.lengths, request.kv_block_tokens).rounds();
  return std::clamp(static_cast<int64_t>(kJudgedSteps / std::max(1.0, rounds)), kFewestJudged,
                    kMostSimulatedRows);
}

void fill_figures(const Problem& problem, const Optimum& optimum, const Judged& best,
                  double solve_s, JointPlan& joint) {
  PlanFigures& figures = joint.plan.figures;
  figures.strategy = name(Strategy::kJoint);
  figures.problem = problem.name;
  figures.time_s = best.score.time_s;
  figures.simulated_s = joint.predicted.seconds;
  figures.omega = best.score.omega;
  figures.objective = best.score.objective;
  figures.lower_bound = optimum.lower_bound;
  if (optimum.score.objective < best.score.objective)
    figures.best_objective = optimum.score.objective;
  figures.solve_s = solve_s;
}

}  // namespace

MadeProblem make_joint_problem(const PlanRequest& request, const PlanningData& data) {
  MadeProblem made = make_problem(request, data);
  const auto& counts = request.wishes.layers_per_stage;
  if (counts.empty()) return made;
  choose_split(request, Strategy::kJoint);  // checks the counts
  made.problem = with_fixed_stages(made.problem, counts);
  return made;
}

std::optional<double> least_omega_that_fits(const PlanRequest& request, const PlanningData& data,
                                            const OptimizeOptions& options) {
  const auto least = Solver(options).least(make_joint_problem(request, data).problem);
  if (!least) return std::nullopt;
  return least->score.omega;
}

std::optional<JointPlan> plan_jointly(const PlanRequest& request, const PlanningData& data,
                                      const OptimizeOptions& options) {
  const double begin_s = options.now_s();
  const Solver solver(options);
  MadeProblem made = make_joint_problem(request, data);
  auto chosen = choose(solver, request, data, made.problem);
  if (!chosen) return std::nullopt;
  made.problem = chosen->problem;
  const auto list = candidates(solver, *chosen, options.gap);
  const double solve_s = options.now_s() - begin_s;
  Judged best;
  for (const Assignment& assignment : list) {
    Judged judged = judge(request, data, made, assignment, judged_rows(data, request));
    if (best.plan.pipelines.empty() || judged.objective < best.objective) best = std::move(judged);
  }
  JointPlan joint;
  joint.plan = best.plan;
  if (!data.preference.empty()) prefer(data.preference, request.config.window, joint.plan);
  joint.predicted = predict(best.plan, request, data);
  fill_figures(made.problem, chosen->optimum, best, solve_s, joint);
  fill_promised_quality(data, joint.plan);
  joint.reason = fmt::format(
      "{}; {}: chunks of {} tokens, {} lanes of {} sequences; the fastest of {} plans that were "
      "simulated",
      chosen->why, name(best.plan.mix), best.plan.prefill_tokens, best.plan.lanes,
      best.plan.decode_batch, list.size());
  joint.problem = std::move(made.problem);
  return joint;
}

}  // namespace llmpq
