// The clock of an emulated device: how long a step lasts on it, and when it ends. Pure. Used by
// stage/stage_clock and, for a profile's times, by plan/predict (and Slowdown by the profiler,
// which has to see what stages will see).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "layer/step_shape.hpp"
#include "profile/emulate.hpp"
#include "profile/latency_model.hpp"

namespace llmpq {

/// An emulated device's speed: one of the two.
struct EmulatedDevice {
  std::optional<DeviceProfile> profile;
  Slowdown slowdown;
};

/// What a stage puts a step through.
struct StageParts {
  struct Layers {
    Format format = Format::kBf16;
    int64_t window = 0;  ///< tokens of the sliding window; 0: none
    int64_t count = 0;
    bool operator==(const Layers&) const = default;
  };
  bool embedding = false;
  std::vector<Layers> layers;  ///< alike ones together, in any order
  std::optional<Format> head;
  bool operator==(const StageParts&) const = default;
};

/// A step's shape in layers with such a window.
using ShapeInWindow = std::function<StepShape(int64_t window)>;

/// By the latency model. Error(kUsage) if it lacks a format of the stage; `device` is its name.
double seconds_by_profile(const DeviceProfile& device, const StageParts& parts,
                          const ShapeInWindow& shape);

/// CPU seconds of a part of a step.
struct CpuPart {
  bool is_layer = false;
  std::optional<Format> format;  ///< of a layer or the head
  double cpu_s = 0;
};
inline Phase phase_of(const StepShape& shape) {
  return shape.prefill_rows > 0 ? Phase::kPrefill : Phase::kDecode;
}
/// What is no layer takes decode's factor in every step: the latency model tells layers apart by
/// phase, but neither embedding nor head.
double seconds_by_slowdown(const Slowdown& slowdown, std::span<const CpuPart> parts,
                           const StepShape& shape);

/// Steps in a row on an emulated device: each begins when it is there and the one before has ended,
/// in the device's time, whatever the host does meanwhile.
class Pace {
 public:
  struct Counts {
    int64_t steps = 0;
    int64_t overran = 0;  ///< computing took longer than the device
    double worst = 1;     ///< the most, as a multiple of what the device takes
  };
  /// When the step ends that was there at `arrived_s`, takes `seconds` and is computed now. One
  /// whose computing took longer ends now.
  double end_of_step(double arrived_s, double seconds, double now_s);
  const Counts& counts() const { return counts_; }

 private:
  double end_s_ = 0;
  Counts counts_;
};

}  // namespace llmpq
