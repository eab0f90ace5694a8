// The options that only llmpq sensitivity has. Like job_options.cpp.
#include "input/job_binding.hpp"

namespace llmpq {

using namespace binding;

std::vector<Option> sensitivity_options() {
  constexpr unsigned kSensitivity = bit(Command::kSensitivity);
  const std::string group = "Sensitivity";
  return {
      {"save-sensitivity", group, kSensitivity, "FILE",
       "Where the result goes (HDF5). A file that is there is replaced.",
       single(ValueType::kPath, &Job::save_sensitivity)},
      {"indicator", group, kSensitivity, "",
       "By what the loss is foreseen: the noise that rounding adds to the residual stream, in "
       "parts "
       "of the stream; LLM-PQ's variance of the outputs; squared errors of the outputs, as GPTQ "
       "has them; or a draw, for comparison.",
       choice(&Job::indicator, {{"relative", Indicator::kRelative},
                                {"variance", Indicator::kVariance},
                                {"hessian", Indicator::kHessian},
                                {"random", Indicator::kRandom}})},
      {"calibration-runs", group, kSensitivity, "runs",
       "Score the tokens so often with rounded weights, to learn which omega means which increase "
       "of the perplexity. Each run loads the model anew. 0: none, and omega only orders layers.",
       integer(&Job::calibration_runs, {0, 1000})},
  };
}

}  // namespace llmpq
