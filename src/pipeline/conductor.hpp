// Rank 0's part in the run loop: whoever makes the steps and takes the results. The driver
// generates, the scorer scores.
#pragma once

namespace llmpq {

class Conductor {
 public:
  virtual ~Conductor() = default;
  /// Moves what can be moved; true if something was. Sends the stop message when all is done.
  virtual bool poll() = 0;
  /// All work is done and the stop messages are sent.
  virtual bool done() const = 0;
};

}  // namespace llmpq
