#include "profile/latency_model.hpp"

#include <algorithm>

namespace llmpq {
namespace {

/// The curve of a format; nullptr where the device has no kernel for it.
const Curve* find(const std::map<Format, Curve>& curves, Format format) {
  const auto at = curves.find(format);
  return at == curves.end() ? nullptr : &at->second;
}

}  // namespace

double Curve::at(double count) const {
  if (rows.empty()) return 0;
  if (count <= rows.front()) return seconds.front();
  // One point alone tells no slope: what a row takes there, it takes beyond.
  if (rows.size() == 1) return seconds.front() * count / rows.front();
  const auto above = std::upper_bound(rows.begin(), rows.end(), count);
  const size_t right = std::min<size_t>(static_cast<size_t>(above - rows.begin()), rows.size() - 1);
  const size_t left = right - 1;
  double slope = (seconds[right] - seconds[left]) / (rows[right] - rows[left]);
  // Noise may tilt the last piece down: far beyond it, seconds would be negative.
  if (count > rows.back()) return seconds[right] + std::max(0.0, slope) * (count - rows[right]);
  return seconds[left] + slope * (count - rows[left]);
}

std::optional<double> layer_seconds(const LatencyModel& model, Format format,
                                    const StepShape& shape) {
  const Curve* curve = shape.prefill_rows > 0 ? find(model.prefill_layer, format) : nullptr;
  if (curve == nullptr) curve = find(model.layer, format);
  if (curve == nullptr) return std::nullopt;
  const auto attention = [](int64_t rows, int64_t keys, double key_s, double context_s) {
    if (rows == 0) return 0.0;
    return static_cast<double>(keys) * (key_s + context_s / static_cast<double>(rows));
  };
  const bool is_mixed = shape.prefill_rows > 0 && shape.decode_rows > 0;
  return curve->at(static_cast<double>(shape.rows())) + (is_mixed ? model.mixed_s : 0) +
         attention(shape.prefill_rows, shape.prefill_keys, model.prefill_key_s,
                   model.prefill_context_s) +
         attention(shape.decode_rows, shape.decode_keys, model.decode_key_s,
                   model.decode_context_s);
}

double embedding_seconds(const LatencyModel& model, const StepShape& shape) {
  return model.embedding.at(static_cast<double>(shape.rows()));
}

std::optional<double> head_seconds(const LatencyModel& model, Format format,
                                   const StepShape& shape) {
  const Curve* curve = find(model.head, format);
  if (curve == nullptr) return std::nullopt;
  // A chunk that ends no prompt does not run the head at all.
  return shape.samples == 0 ? 0 : curve->at(static_cast<double>(shape.samples));
}

}  // namespace llmpq
