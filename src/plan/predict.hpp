// How long a plan will take: the real scheduler in simulation (schedule/simulate) on the lengths of
// the work, with stages and links as slow as the devices' latency models say. This is the number
// that a plan promises; the formulas of the problem file only steer the search. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "plan/make_problem.hpp"
#include "plan/plan.hpp"
#include "schedule/simulate.hpp"

namespace llmpq {

/// Rows beyond which a sample of them is simulated.
inline constexpr int64_t kMostSimulatedRows = 20'000;

/// A sentence that names a stage of the plan whose device has no times for a format; "" if none.
std::string missing_times(const Plan& plan, const PlanningData& data);

/// Seconds of a step on one stage of the plan's pipeline: its layers, each in its format; the
/// embedding on the first stage, the head on the last. A layer with a window reads at most so many
/// keys a row, of the step's mean row. Error(kUsage) as missing_times() says.
StageSeconds stage_seconds(const Plan& plan, size_t stage, const ModelConfig& config,
                           const DeviceProfile& device);

/// The pipeline of the plan: times of its ranks' devices and of the links between them. Messages of
/// rank 0 take a link's latency to the furthest stage, and from the last stage back.
SimulationSetup simulation_setup(const Plan& plan, const PlanRequest& request,
                                 const PlanningData& data);

/// A row for each sequence, in their order; of more than `most`, one drawn (by `seed`) from each of
/// `most` parts of equal size.
std::vector<SimulatedRow> simulated_rows(std::span<const SequenceLength> lengths, int64_t most,
                                         uint64_t seed);

/// The run with exactly these rows.
SimulationResult predict(const Plan& plan, const PlanRequest& request, const PlanningData& data,
                         std::span<const SimulatedRow> rows);

/// The run of data.lengths. Of more than `most_rows` sequences (or than eight fillings of the
/// plan's lanes, if that is more) so many are simulated; seconds and counts are scaled to all,
/// finish_s is of those that were simulated.
SimulationResult predict(const Plan& plan, const PlanRequest& request, const PlanningData& data,
                         int64_t most_rows = kMostSimulatedRows);

/// Each stage's seconds of a full chunk and of a full decode step whose rows look at as many keys
/// as those of the whole work do on average: StagePlan::prefill_s and decode_s.
void fill_stage_seconds(const PlanRequest& request, const PlanningData& data, Plan& plan);

/// PlanFigures::perplexity_increase and what it is promised for, where data.quality tells it.
void fill_promised_quality(const PlanningData& data, Plan& plan);

}  // namespace llmpq
