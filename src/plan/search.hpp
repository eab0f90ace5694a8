// The search behind solve(): tries formats, sizes and splits in order of preference and says
// whether what it found fits. Does not throw where nothing fits, so that suggestions can be tried.
#pragma once

#include <string>
#include <vector>

#include "plan/layout.hpp"
#include "plan/solve.hpp"

namespace llmpq {

/// Where the layers go: a layout, and whether another one may be taken if it is short of memory.
struct Split {
  Layout layout;
  bool may_change = false;
};

struct Found {
  Plan plan;  ///< if it does not fit: the closest one, with the fewest KV blocks
  bool fits = false;
  std::string reason;  ///< which formats and sizes, and why
};

/// The split that a strategy asks for. Error(kUsage) if wishes, ranks and layers contradict.
Split choose_split(const PlanRequest& request, Strategy strategy);

/// 16 bit and what is below, best quality first: what is tried without a wish for formats.
std::vector<Format> uniform_formats(const PlanRequest& request);

/// The first choice of formats (the wish, or uniform_formats()) and sizes that fits in the split.
Found search(const PlanRequest& request, const Split& split);

}  // namespace llmpq
