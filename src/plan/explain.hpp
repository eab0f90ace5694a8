// What a plan promises and why it is no faster: for people. Pure.
#pragma once

#include <span>
#include <string>

#include "plan/solve.hpp"
#include "schedule/simulate.hpp"

namespace llmpq {

/// One character a layer, four by four: G for 16 bit, else the bits: "GG88 4443".
std::string bit_strip(std::span<const Format> formats);

/// Predicted speed and times, a line a stage (bits of its layers, seconds of a chunk and of a
/// decode step, how busy it is with which phase), and what limits the plan: the busiest stage or
/// link, or the way around all of them; the fullest memory. `predicted`: of this plan.
std::string explain(const PlanRequest& request, const Plan& plan,
                    const SimulationResult& predicted);

/// What the plan promises of the perplexity, and for which quantizer; "" where omega is not
/// calibrated. No line feed.
std::string promised_quality(const PlanFigures& figures);

}  // namespace llmpq
