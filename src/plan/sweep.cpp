#include "plan/sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/table.hpp"
#include "plan/compare.hpp"
#include "plan/least_omega.hpp"

namespace llmpq {
namespace {

using nlohmann::ordered_json;

constexpr double kRounding = 1e-9;

std::string_view mix_of(const Problem& problem, const SweepPoint& point) {
  return name(problem.batchings.at(static_cast<size_t>(point.planned.assignment.batching)).mix);
}

/// The point after those that are there, if it is faster.
void add_if_faster(SweepPoint point, std::vector<SweepPoint>& points) {
  if (!point.planned.found) return;
  if (!points.empty()) {
    const Score& before = points.back().planned.score;
    const Score& now = point.planned.score;
    if (now.time_s >= before.time_s * (1 - kRounding)) return;
    if (now.omega > before.omega)
      point.theta = (before.time_s - now.time_s) / (now.omega - before.omega);
    else
      points.pop_back();
  }
  points.push_back(std::move(point));
}

}  // namespace

std::vector<SweepPoint> sweep_quality(const Problem& problem, const OptimizeOptions& options,
                                      int levels) {
  Problem bounded = problem;
  bounded.theta = 0;
  bounded.max_omega.reset();
  Planned fastest = plan_by(Planner::kJoint, bounded, options);
  const Optimum least = least_omega(bounded, options);
  if (!fastest.found || least.status != OptimizeStatus::kFound) return {};
  const double low = least.score.omega, high = fastest.score.omega;
  std::vector<SweepPoint> points;
  for (int i = 0; i + 1 < levels && low < high; ++i) {
    const double share = static_cast<double>(i) / (levels - 1);
    // Cubed: most is won where little is lost, so that is looked at more closely.
    bounded.max_omega = (low + (high - low) * share * share * share) * (1 + kRounding);
    add_if_faster({*bounded.max_omega, plan_by(Planner::kJoint, bounded, options), 0}, points);
  }
  add_if_faster({high, std::move(fastest), 0}, points);
  return points;
}

std::string describe(const Problem& problem, const std::vector<SweepPoint>& points) {
  Table table({"omega at most", "omega", "bits", "time s", "speed", "theta", "gap %", "mix"});
  for (const SweepPoint& point : points) {
    const Planned& plan = point.planned;
    const auto bits = average_bits(problem, plan.assignment);
    table.add({fmt::format("{:.4g}", point.max_omega), fmt::format("{:.4g}", plan.score.omega),
               bits ? fmt::format("{:.3g}", *bits) : "", fmt::format("{:.5g}", plan.score.time_s),
               fmt::format("{:.2f}", points[0].planned.score.time_s / plan.score.time_s),
               point.theta > 0 ? fmt::format("{:.3g}", point.theta) : "",
               fmt::format("{:.2f}", 100 * plan.gap().value_or(0)),
               std::string(mix_of(problem, point))});
  }
  return fmt::format("{}: what quality costs\n", problem.name) + table.text() +
         "speed: of the first row; theta: the --theta at which a row and the one above it are "
         "worth "
         "the same\n";
}

std::string to_json(const Problem& problem, const std::vector<SweepPoint>& points) {
  ordered_json list = ordered_json::array();
  for (const SweepPoint& point : points) {
    const Planned& plan = point.planned;
    const auto bits = average_bits(problem, plan.assignment);
    list.push_back({{"max_omega", point.max_omega},
                    {"omega", plan.score.omega},
                    {"average_bits", bits ? ordered_json(*bits) : ordered_json(nullptr)},
                    {"time_s", plan.score.time_s},
                    {"theta", point.theta},
                    {"gap", plan.gap().value_or(0)},
                    {"mix", mix_of(problem, point)}});
  }
  return dump_json(ordered_json{{"problem", problem.name}, {"points", list}}, 2) + "\n";
}

}  // namespace llmpq
