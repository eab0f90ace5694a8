// Pictures of plans: layers by stages, coloured by bits, with busy time and memory of each stage.
#pragma once

#include <string>
#include <vector>

#include "plan/planners.hpp"

namespace llmpq {

/// All that a picture shows, from whatever kind of plan.
struct PlanPicture {
  struct Stage {
    std::string device;
    int rank = 0;
    int begin = 0, end = 0;              ///< layers
    std::vector<int> formats;            ///< [end - begin] indices into PlanPicture::formats
    double prefill_s = 0, decode_s = 0;  ///< busy in the whole job
    double bytes = 0, budget_bytes = 0;
  };
  std::string title, subtitle;
  int layers = 0;
  std::vector<std::string> formats;
  std::vector<Stage> stages;
  std::vector<std::string> idle;  ///< "rank 3 (T4)"
  bool mixed = false;             ///< one kind of step does both phases; it counts as decode_s
};

/// `planned` must have a plan.
PlanPicture picture_of(const Problem& problem, const Planned& planned);

std::string plan_svg(const PlanPicture& picture);

}  // namespace llmpq
