// CPU seconds of a step by the parts that used them: what the slowdown clock multiplies.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kernels/backend.hpp"
#include "profile/device_clock.hpp"

namespace llmpq {

class CpuMeter {
 public:
  /// From now on the backend counts its threads' CPU time.
  explicit CpuMeter(Backend& backend) : backend_(&backend) { backend.count_cpu_seconds(); }

  /// A step begins.
  void begin() {
    parts_.clear();
    last_s_ = backend_->cpu_seconds();
  }
  /// What was computed since the last call belongs to a layer, or to something else, in this
  /// format.
  void charge(bool is_layer, std::optional<Format> format) {
    const double now_s = backend_->cpu_seconds();
    parts_.push_back({is_layer, format, now_s - last_s_});
    last_s_ = now_s;
  }
  /// Of the step.
  std::span<const CpuPart> parts() const { return parts_; }

 private:
  const Backend* backend_;
  std::vector<CpuPart> parts_;
  double last_s_ = 0;
};

}  // namespace llmpq
