// `llmpq plan --problem`: solves a problem file, without a model, a machine or MPI.
#pragma once

#include "input/job.hpp"

namespace llmpq {

/// Prints the plan of the job's strategy as a table, or as a plan file with --json, and saves it
/// where the job says so. With strategy all: the plans of all, side by side.
/// Error(kUsage): the file is none. Error(kNoPlan): proven that no plan keeps the rules, or none
/// was found in time.
int run_plan_problem(const Job& job);

}  // namespace llmpq
