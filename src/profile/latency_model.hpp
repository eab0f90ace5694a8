// How long a device takes for a part of a step: plain data, fitted to measurements (measure.cpp) or
// made from a specification sheet (roofline.cpp), kept in profile files. Used by the planner, the
// simulator and emulated devices.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/backend.hpp"
#include "layer/step_shape.hpp"

namespace llmpq {

/// Seconds over a number of rows: piecewise linear between points, rows ascending. Below the first
/// point its seconds (a step has a fixed cost), beyond the last one the last slope goes on.
struct Curve {
  std::vector<double> rows, seconds;
  double at(double count) const;
};

/// Matrix products and everything else that depends on the number of rows alone are curves; what
/// attention adds grows with the keys that are read.
struct LatencyModel {
  std::map<Format, Curve> layer;  ///< of one decoder layer, attention's keys left out
  double prefill_key_s = 0;       ///< of one layer, per row and key
  double decode_key_s = 0;        ///< likewise, for ranges of one row
  Curve embedding;                ///< over rows
  std::map<Format, Curve> head;   ///< over samples: final norm, product, choice of tokens

  // What some devices have besides, all of one layer.
  /// Of steps that have prefill rows, where they are told apart: a GPU launches only decode steps
  /// from a recording. Empty: as `layer`.
  std::map<Format, Curve> prefill_layer;
  /// Per key of the mean row of its kind: few rows do not fill a device, however long their
  /// contexts.
  double prefill_context_s = 0, decode_context_s = 0;
  double mixed_s = 0;  ///< of a step with rows of both kinds: attention runs twice
};

/// A device as the planner knows it.
struct DeviceProfile {
  std::string device;  ///< its name
  BackendKind backend = BackendKind::kCpu;
  std::string source;  ///< "measured" or "specification"
  std::string shape;   ///< what it was measured for: hash of the layer's sizes, "" = any
  LatencyModel model;
  std::optional<double> held_out_error;  ///< mean absolute relative error on held-out points
  /// Which kernels the device's products take (Backend::choose_products); empty: the usual ones.
  std::vector<ProductChoice> products;
};

/// Seconds of one layer in a format; nothing where the device has no kernel for it.
std::optional<double> layer_seconds(const LatencyModel& model, Format format,
                                    const StepShape& shape);
double embedding_seconds(const LatencyModel& model, const StepShape& shape);
std::optional<double> head_seconds(const LatencyModel& model, Format format,
                                   const StepShape& shape);

/// Time of a message of so many bytes between two ranks.
struct LinkModel {
  double latency_s = 0, s_per_byte = 0;
  double seconds(double bytes) const { return latency_s + bytes * s_per_byte; }
};

}  // namespace llmpq
