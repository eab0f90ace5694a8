#include "plan/problem_seconds.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr double kNoKernel = std::numeric_limits<double>::quiet_NaN();

StepShape prefill_shape(const TableSetup& setup, size_t layer_class, double rows) {
  StepShape shape;
  shape.prefill_rows = std::llround(rows);
  shape.prefill_keys =
      std::llround(rows * setup.keys[layer_class].prefill / setup.work.prefill_rows);
  return shape;
}

StepShape decode_shape(const TableSetup& setup, size_t layer_class, const DecodeColumn& column,
                       double chunk_rows) {
  StepShape shape = prefill_shape(setup, layer_class, chunk_rows);
  shape.decode_rows = std::llround(column.decode_rows);
  const double all_rows = std::max(1.0, setup.work.decode_rows);
  shape.decode_keys = std::llround(column.decode_rows * setup.keys[layer_class].decode / all_rows);
  return shape;
}

/// Of a column's steps with and without a chunk; `seconds` of so many chunk rows.
template <typename Seconds>
double mean_s(const DecodeColumn& column, Seconds seconds) {
  const double share = column.chunk_share;
  return (share > 0 ? share * seconds(column.chunk_rows) : 0) +
         (share < 1 ? (1 - share) * seconds(0.0) : 0);
}

/// A chunk ends a prompt only now and then: the head's time counts by how often.
double head_s(const LatencyModel& model, const TableSetup& setup, double prefill_rows,
              double decode_rows) {
  const double samples = decode_rows + prefill_rows / setup.work.prompt();
  const Curve& curve = model.head.at(setup.head);
  return samples < 1 ? samples * curve.at(1) : curve.at(samples);
}

void add_layer_class(const LatencyModel& model, const TableSetup& setup,
                     const BatchChoices& choices, ProblemKind& kind) {
  const size_t layer_class = kind.prefill_s.size();
  const auto& only = setup.classes[layer_class].only;
  auto& prefill = kind.prefill_s.emplace_back();
  auto& decode = kind.decode_s.emplace_back();
  for (Format format : setup.formats) {
    const auto seconds = [&](const StepShape& shape) {
      if (only && *only != format) return kNoKernel;
      return layer_seconds(model, format, shape).value_or(kNoKernel);
    };
    auto& chunks = prefill.emplace_back();
    for (int64_t rows : choices.prefill_tokens)
      chunks.push_back(seconds(prefill_shape(setup, layer_class, static_cast<double>(rows))));
    auto& steps = decode.emplace_back();
    for (const DecodeColumn& column : choices.decode)
      steps.push_back(mean_s(column, [&](double chunk_rows) {
        return seconds(decode_shape(setup, layer_class, column, chunk_rows));
      }));
  }
}

}  // namespace

ProblemKind table_of(const DeviceProfile& profile, const TableSetup& setup,
                     const BatchChoices& choices) {
  const LatencyModel& model = profile.model;
  ProblemKind kind;
  kind.name = fmt::format("{} ({})", profile.device, profile.source);
  for (size_t i = 0; i < setup.classes.size(); ++i) add_layer_class(model, setup, choices, kind);
  for (int64_t rows : choices.prefill_tokens) {
    const auto count = static_cast<double>(rows);
    kind.embed_prefill_s.push_back(model.embedding.at(count));
    kind.head_prefill_s.push_back(head_s(model, setup, count, 0));
  }
  for (const DecodeColumn& column : choices.decode) {
    const double rows = column.decode_rows;
    kind.embed_decode_s.push_back(
        mean_s(column, [&](double chunk) { return model.embedding.at(rows + chunk); }));
    kind.head_decode_s.push_back(
        mean_s(column, [&](double chunk) { return head_s(model, setup, chunk, rows); }));
  }
  return kind;
}

StepPair average_seconds(const std::vector<ProblemKind>& kinds,
                         const std::vector<size_t>& of_device, int prefill, int decode) {
  const auto u = static_cast<size_t>(prefill), v = static_cast<size_t>(decode);
  StepPair sum;
  double devices = 0;
  for (size_t index : of_device) {
    const ProblemKind& kind = kinds[index];
    StepPair fastest{std::numeric_limits<double>::infinity(), 0};
    for (size_t f = 0; f < kind.prefill_s[0].size(); ++f)
      if (kind.prefill_s[0][f][u] < fastest.chunk_s)  // NaN is not
        fastest = {kind.prefill_s[0][f][u], kind.decode_s[0][f][v]};
    if (std::isinf(fastest.chunk_s)) continue;
    sum.chunk_s += fastest.chunk_s;
    sum.step_s += fastest.step_s;
    ++devices;
  }
  devices = std::max(1.0, devices);
  return {sum.chunk_s / devices, sum.step_s / devices};
}

}  // namespace llmpq
