// The calibration texts of --quantizer gptq, and a plan's stages loaded one after the other on
// them. Used by prepare and share; sensitivity reads prompts by the same rule.
#pragma once

#include <functional>

#include "base/mpi.hpp"
#include "commands/machines.hpp"
#include "commands/prepare.hpp"
#include "plan/plan.hpp"
#include "stage/calibration.hpp"
#include "stage/stage.hpp"

namespace llmpq {

/// A text of at most `window` tokens for each row that has two or more, until there are `most`
/// tokens. Error(kPrompts) if there is none.
Texts prompt_texts(const Job& job, const Input& input, const FeedSetup& setup, int64_t window,
                   int64_t most);

/// Rank 0: the texts that gptq is calibrated on, from --calibration-text, else from the first
/// prompts of the file, whatever --rows and --shard say. None if the job names neither.
Texts calibration_texts(const Job& job, const Input& input);
/// What --resume compares, for "rtn" and "gptq" alike.
std::string quantizer_print(const Job& job, const Input& input);

/// Whether a plan has integer layers, or an integer head, that gptq is to round.
bool is_calibrated(const Job& job, const Plan& plan);

/// The layers in front of which the last integer layer of a plan is; one more than the model has if
/// the head is in integers.
int64_t end_of_integers(const Plan& plan);
struct CalibratedLoading {
  /// Of a rank whose stage the texts go through: before anybody loads, which takes minutes.
  std::function<void(const CalibrationState& state)> check;
  /// null where no integers are left. Neither may use MPI.
  std::function<void(CalibrationState* state)> load;
};
/// Calls check(state) on all ranks at once, then load(state) on the rank of each stage in turn;
/// what the texts are after its layers goes on to the next stage's rank. Collective. Error(kUsage)
/// without texts.
void load_in_turn(const Mpi& mpi, const Plan& plan, const Input& input,
                  const CalibratedLoading& loading);

/// Error(kNoPlan) if the rank's memory (a GPU's, or the host's) does not hold its stage's weights,
/// embedding and head among them, and what calibrating takes there while they are loaded.
void check_calibration_fits(const StageSetup& setup, const ModelConfig& config,
                            const CalibrationState& state, const RankReport& rank);

}  // namespace llmpq
