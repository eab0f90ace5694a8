// A barrier in shared memory that counts arrivals and bytes (PTX ISA, "mbarrier"): its 64 bits and
// what they become. Each operation returns what is wrong with it, nullptr if nothing is.
#pragma once

#include <cstdint>

namespace llmpq::emulated {

class Mbarrier {
 public:
  static constexpr int kMostArrivals = (1 << 20) - 1, kMostBytes = (1 << 20) - 1;

  /// Arrivals of a phase. What was there before does not matter.
  const char* init(int arrivals) {
    if (arrivals < 1 || arrivals > kMostArrivals) return "a barrier wants 1 to 2^20 - 1 arrivals";
    *this = {};
    mark_ = kInitialized;
    wanted_ = missing_ = static_cast<uint32_t>(arrivals);
    return nullptr;
  }
  /// After fence.mbarrier_init: copies and the cluster's other blocks may use it.
  const char* show() {
    const char* const error = check(false);
    if (error == nullptr) mark_ = kShown;
    return error;
  }
  /// `from_outside`: by a copy or from another block.
  const char* check(bool from_outside) const {
    if (mark_ != kInitialized && mark_ != kShown) return kNotThere;
    if (from_outside && mark_ != kShown)
      return "a barrier is used by a copy or another block without fence.mbarrier_init";
    return nullptr;
  }

  const char* arrive() {
    if (missing_ == 0) return "a barrier's phase gets more arrivals than it was initialized with";
    --missing_;
    end_phase();
    return nullptr;
  }
  /// The phase waits for so many bytes more.
  const char* expect(int64_t bytes) { return add_bytes(bytes); }
  /// So many have come, maybe before they were expected.
  const char* complete(int64_t bytes) { return add_bytes(-bytes); }

  /// Whether the phase of that parity has ended: that before the current one.
  bool has_ended(uint32_t parity) const { return phase_ != parity; }

 private:
  static constexpr uint32_t kNoBarrier = 0, kInitialized = 1, kShown = 2;
  static constexpr const char* kNotThere = "there is no initialized barrier";

  const char* add_bytes(int64_t bytes) {
    const int64_t sum = bytes_ + bytes;
    if (sum < -kMostBytes || sum > kMostBytes) return "a barrier counts at most 2^20 - 1 bytes";
    bytes_ = sum;
    end_phase();
    return nullptr;
  }
  void end_phase() {
    if (missing_ != 0 || bytes_ != 0) return;
    phase_ ^= 1;
    missing_ = wanted_;
  }

  uint64_t phase_ : 1 = 0;
  uint64_t wanted_ : 20 = 0;   ///< arrivals of each phase
  uint64_t missing_ : 20 = 0;  ///< of them in this phase
  int64_t bytes_ : 21 = 0;     ///< missing in this phase; negative: come early
  uint64_t mark_ : 2 = kNoBarrier;
};
static_assert(sizeof(Mbarrier) == 8);

}  // namespace llmpq::emulated
