// How far a rank's stage is: what other ranks are told of it.
#pragma once

#include <cstdint>

namespace llmpq {

struct Activity {
  int64_t steps_done = -1;  ///< -1: it does not run yet, or the rank has none
  double computing_s = -1;  ///< how long it is at the step after those; -1: it waits
};

}  // namespace llmpq
