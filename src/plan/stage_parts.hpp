// What a stage of a plan puts a step through, alike layers together: what predictions and the
// clocks of emulated devices add up. Pure.
#pragma once

#include "input/model_config.hpp"
#include "plan/plan.hpp"
#include "profile/device_clock.hpp"

namespace llmpq {

/// Of a stage whose plan's head is in `head`: with the embedding if it has the model's first layer,
/// with the head if it has the last one.
StageParts stage_parts(const StagePlan& stage, Format head, const ModelConfig& config);

}  // namespace llmpq
