#include "plan/preference.hpp"

#include <map>
#include <vector>

#include "plan/assign_formats.hpp"

namespace llmpq {
namespace {

/// The indicator as assign_formats() reads it: columns in the order of kFormats.
Problem table_of(std::span<const ByFormat> omega) {
  Problem problem;
  for (const FormatInfo& row : kFormats) problem.formats.emplace_back(row.name);
  for (const ByFormat& layer : omega) problem.omega.emplace_back(layer.begin(), layer.end());
  return problem;
}

void exchange(const Problem& table, std::span<const int> layers, StagePlan& stage) {
  const auto format_of = [&](int layer) -> Format& {
    return stage.formats.at(static_cast<size_t>(layer - stage.layer_begin));
  };
  std::vector<int> counts(kFormats.size());
  for (int layer : layers) ++counts[static_cast<size_t>(format_of(layer))];
  std::vector<uint8_t> usable;
  for (uint8_t f = 0; f < counts.size(); ++f)
    if (counts[f] > 0) usable.push_back(f);
  const std::vector<double> start(kFormats.size());
  const FormatAssignment best = assign_formats(table, layers, counts, usable, start);
  for (size_t i = 0; i < layers.size(); ++i)
    format_of(layers[i]) = static_cast<Format>(best.format[i]);
}

}  // namespace

void prefer(std::span<const ByFormat> omega, std::span<const int64_t> windows, Plan& plan) {
  const Problem table = table_of(omega);
  for (StagePlan& stage : plan.pipelines.at(0).stages) {
    std::map<int64_t, std::vector<int>> by_window;
    for (int64_t layer = stage.layer_begin; layer < stage.layer_end; ++layer) {
      const auto index = static_cast<size_t>(layer);
      by_window[index < windows.size() ? windows[index] : 0].push_back(static_cast<int>(layer));
    }
    for (const auto& [window, layers] : by_window) exchange(table, layers, stage);
  }
}

}  // namespace llmpq
