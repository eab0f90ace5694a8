// What the parts of eval have in common: what is to be judged, on what.
#pragma once

#include <vector>

#include "commands/scoring.hpp"
#include "input/tasks.hpp"

namespace llmpq {

/// Windows and tasks are rank 0's; empty where the job names no text or no tasks.
struct EvalWork {
  const Mpi& mpi;
  const Job& job;
  Input& input;
  const Machines& machines;
  std::vector<ScoreWindow> windows;
  std::vector<Task> tasks;
};

}  // namespace llmpq
