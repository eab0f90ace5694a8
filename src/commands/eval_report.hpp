// The figures of eval, for people and as JSON, each with its uncertainty.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "commands/eval_divergence.hpp"
#include "commands/eval_tasks.hpp"
#include "plan/plan.hpp"

namespace llmpq {

/// What came out. Text and tasks may each be missing.
struct EvalReport {
  std::string formats;                 ///< of the plan's layers
  PlanFigures promised;                ///< by the plan: of its quality, where that is calibrated
  std::vector<WindowScore> scores;     ///< by window; empty without a text
  std::vector<WindowScore> reference;  ///< the unquantized model's; empty without --divergence
  std::vector<Task> tasks;
  std::vector<TaskOutcome> outcomes;  ///< by task
};

/// Lines with one standard error each, and what the plan promised beside them; shares of tasks with
/// Wilson's 95 % interval.
std::string describe(const EvalReport& report);
/// One object: perplexity, tokens, standard_error, log_likelihood, windows [[tokens,
/// log_likelihood]]; divergence; promised; accuracy. A standard error is null with one window
/// alone.
std::string to_json(const EvalReport& report);

}  // namespace llmpq
