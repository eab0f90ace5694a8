// eval --tasks: greedy answers over the pipeline that generate would run, compared with the right
// ones. Exact match of generated text is what is counted, and not which of several given answers
// the model finds the likeliest: a bulk job generates, so this is the quality that its user gets.
#pragma once

#include <vector>

#include "commands/eval_work.hpp"

namespace llmpq {

/// What became of a task.
enum class TaskOutcome : uint8_t { kMissed, kSolved, kFailed };  ///< kFailed: it could not run

/// Tells the planner what the tasks ask for, besides what it knows already. Rank 0.
void measure_tasks(const Job& job, const std::vector<Task>& tasks, Input& input);

/// Runs all tasks on a share that is loaded; by task on rank 0, nothing elsewhere. Collective.
std::vector<TaskOutcome> answer_tasks(const EvalWork& work, Share& share, const Plan& plan);

}  // namespace llmpq
