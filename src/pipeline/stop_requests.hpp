// When a job was asked to stop, and how urgently: the rule by which signals count. Rank 0's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace llmpq {

enum class Stop : int32_t {
  kNo,
  kDrain,  ///< no new prompts; those that run may finish
  kNow,    ///< nothing new at all
};

class StopRequests {
 public:
  /// `grace_s`: how long running prompts may take to finish.
  explicit StopRequests(double grace_s) : grace_s_(grace_s) {}

  /// A rank was sent signals, the first and the last at these times of one clock.
  void add(double first_s, double last_s) {
    first_s_ = std::min(first_s_, first_s);
    last_s_ = std::max(last_s_, last_s);
  }

  /// Schedulers signal every process of a job, some of them twice: what comes within a second of
  /// the first signal is a copy of it. A later one means now.
  Stop at(double now_s) const {
    if (first_s_ > last_s_) return Stop::kNo;
    const bool again = last_s_ > first_s_ + kCopies_s;
    return again || now_s > first_s_ + grace_s_ ? Stop::kNow : Stop::kDrain;
  }

 private:
  static constexpr double kCopies_s = 1;

  double grace_s_;
  double first_s_ = std::numeric_limits<double>::infinity();
  double last_s_ = -std::numeric_limits<double>::infinity();
};

}  // namespace llmpq
