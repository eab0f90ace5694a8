// Who looks on where texts are scored: eval --divergence, which keeps one model's distributions and
// compares another's with them, on the rank that has the logits.
#pragma once

#include <span>

#include "schedule/step.hpp"

namespace llmpq {

class LogitsObserver {
 public:
  virtual ~LogitsObserver() = default;
  /// `logits`: [rows, vocab] of the next scored tokens, in host memory until the call returns. What
  /// it makes of each row joins `result`, which goes to rank 0. Called on the compute thread; what
  /// it throws ends the run.
  virtual void see_logits(std::span<const float> logits, StepResult& result) = 0;
};

}  // namespace llmpq
