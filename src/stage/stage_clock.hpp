// The clock of a stage on an emulated device: its computing is real, and then it waits until the
// device would have been done. Used by pipeline/worker; made by commands/share.
#pragma once

#include "profile/cpu_meter.hpp"
#include "profile/device_clock.hpp"
#include "stage/stage.hpp"

namespace llmpq {

class StageClock {
 public:
  /// Of the stage that is made of `setup`. Error(kUsage): the device's profile lacks a format of
  /// it.
  StageClock(const EmulatedDevice& device, const StageSetup& setup, const ModelConfig& config,
             Backend& backend);

  /// From now on the stage tells this clock what it computes; both must stay where they are.
  void watch(Stage& stage) { stage.meter(&meter_); }

  /// Seconds on the device of the step that the stage has just run.
  double seconds(const Step& step) const;
  /// Returns when that step, which was there at `arrived_s`, ends on the device; or at once if
  /// computing took longer.
  void wait_for_end(const Step& step, double arrived_s);
  const Pace::Counts& counts() const { return pace_.counts(); }

  /// CPU seconds of computing in a second of the device: the most of a full chunk and a full decode
  /// batch, which the stage runs for it. Only before the stage has run steps of sequences: it
  /// writes into their KV blocks.
  double cores(Stage& stage);

 private:
  double cores_of(Stage& stage, const Step& step);

  EmulatedDevice device_;
  StageSetup setup_;
  StageParts parts_;
  int64_t hidden_;
  CpuMeter meter_;
  Pace pace_;
};

}  // namespace llmpq
