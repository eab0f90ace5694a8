// From measurements to a latency model, and how far it can be trusted. Pure.
#pragma once

#include "profile/latency_model.hpp"
#include "profile/measure.hpp"

namespace llmpq {

/// Least squares over relative errors, all formats at once: for each a curve over the rows of its
/// points (mixed steps lie between), or two where prefill is apart; and what attention adds, which
/// the formats share since it does not depend on how weights are stored. Curves do not fall. Points
/// that are held out are not looked at.
LatencyModel fit_model(const Measurements& measured);

/// Mean of |predicted / measured - 1| over the layers' and the head's points that are held out, and
/// over those that are not. Nothing without such points.
std::optional<double> held_out_error(const LatencyModel& model, const Measurements& measured);
std::optional<double> fitted_error(const LatencyModel& model, const Measurements& measured);

}  // namespace llmpq
