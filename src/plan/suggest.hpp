// What would fit where a plan does not: changes of the job that were tried and do.
#pragma once

#include <string>

#include "plan/solve.hpp"

namespace llmpq {

/// Sentences that name options and values ("What would fit: --format w4; or ..."). Each was tried
/// alone; if none helps, all together; if that does not help either, how much memory is missing.
std::string what_would_fit(const PlanRequest& request, Strategy strategy);

}  // namespace llmpq
