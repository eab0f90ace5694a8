#include "profile/device_clock.hpp"

#include <algorithm>

#include "kernels/check.hpp"

namespace llmpq {

double seconds_by_profile(const DeviceProfile& device, const StageParts& parts,
                          const ShapeInWindow& shape) {
  const auto known = [&](std::optional<double> seconds, const char* what, Format format) {
    CHECK(seconds, Exit::kUsage,
          "--emulate: the profile of {} has no {} in {}, which the plan wants: want a profile with "
          "it, or another --format",
          device.device, what, name(format));
    return *seconds;
  };
  double seconds = parts.embedding ? embedding_seconds(device.model, shape(0)) : 0;
  for (const StageParts::Layers& layers : parts.layers)
    seconds += static_cast<double>(layers.count) *
               known(layer_seconds(device.model, layers.format, shape(layers.window)), "layer",
                     layers.format);
  if (parts.head)
    seconds += known(head_seconds(device.model, *parts.head, shape(0)), "head", *parts.head);
  return seconds;
}

double seconds_by_slowdown(const Slowdown& slowdown, std::span<const CpuPart> parts,
                           const StepShape& shape) {
  double seconds = 0;
  for (const CpuPart& part : parts)
    seconds +=
        part.cpu_s * slowdown.factor(part.is_layer ? phase_of(shape) : Phase::kDecode, part.format);
  return seconds;
}

double Pace::end_of_step(double arrived_s, double seconds, double now_s) {
  const double begin_s = std::max(arrived_s, end_s_);
  end_s_ = begin_s + seconds;
  ++counts_.steps;
  if (now_s > end_s_) {
    ++counts_.overran;
    if (seconds > 0) counts_.worst = std::max(counts_.worst, (now_s - begin_s) / seconds);
    end_s_ = now_s;
  }
  return end_s_;
}

}  // namespace llmpq
