// The options that say how weights are rounded while they are loaded. Like job_options.cpp.
#include "input/job_binding.hpp"

namespace llmpq {

using namespace binding;

std::vector<Option> quantizer_options() {
  constexpr unsigned kQuantizes = bit(Command::kGenerate) | bit(Command::kPlan) |
                                  bit(Command::kEval) | bit(Command::kBench) |
                                  bit(Command::kSensitivity);
  const std::string group = "Quantizer: how weights become integers";
  return {
      {"quantizer", group, kQuantizes, "",
       "rtn: each weight to the nearest integer; gptq: by error feedback, so that the layers' "
       "outputs on the calibration texts change least, which takes longer to load. sensitivity's "
       "runs are rounded so, and what it foresees is for this quantizer.",
       choice(&Job::quantizer, {{"rtn", Quantizer::kRtn}, {"gptq", Quantizer::kGptq}})},
      {"calibration-text", group, kQuantizes, "FILE",
       "UTF-8 text to calibrate gptq with; without it the prompts, all rows of the file.",
       single(ValueType::kPath, &Job::calibration_text)},
      {"calibration-tokens", group, kQuantizes, "tokens",
       "Only so many of the calibration text or the prompts, the first ones.",
       integer(&Job::calibration_tokens, {2, 1e9})},
  };
}

}  // namespace llmpq
