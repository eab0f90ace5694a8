#include "commands/plan_views.hpp"

#include <cstdio>

#include "base/file.hpp"
#include "base/timer.hpp"
#include "kernels/check.hpp"
#include "plan/plan_svg.hpp"
#include "plan/sweep.hpp"
#include "plan/what_if.hpp"

namespace llmpq {
namespace {

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace

OptimizeOptions optimize_options(const Job& job) {
  return {job.optimality_gap, job.plan_time_limit, steady_seconds};
}

Planner planner_of(Strategy strategy) {
  switch (strategy) {
    case Strategy::kUniform:
      return Planner::kUniform;
    case Strategy::kPipeEdge:
      return Planner::kPipeEdge;
    case Strategy::kAdaBits:
      return Planner::kAdaBits;
    case Strategy::kLlmPq:
      return Planner::kLlmPq;
    default:
      return Planner::kJoint;
  }
}

int print_comparison(const Job& job, const Problem& problem, const Comparison& comparison) {
  print(job.json ? to_json(problem, comparison) : describe(problem, comparison));
  return 0;
}

int print_sweep(const Job& job, const Problem& problem) {
  const auto points = sweep_quality(problem, optimize_options(job));
  CHECK(!points.empty(), Exit::kNoPlan, "{}: no plan was found to begin with", problem.name);
  if (!job.svg.empty()) write_file_atomically(job.svg, sweep_svg(problem, points), Exit::kOutput);
  print(job.json ? to_json(problem, points) : describe(problem, points));
  return 0;
}

void draw_plan(const Job& job, const Problem& problem, const Planned& planned) {
  if (!job.svg.empty())
    write_file_atomically(job.svg, plan_svg(picture_of(problem, planned)), Exit::kOutput);
}

std::string what_would_change(const Job& job, const Problem& problem, const Planned& planned) {
  if (!job.explain) return "";
  const WhatIfs answers = what_if(problem, planned, optimize_options(job));
  return job.json ? to_json(answers) : describe(planned, answers);
}

}  // namespace llmpq
