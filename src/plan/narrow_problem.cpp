#include "plan/narrow_problem.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr double kNoKernel = std::numeric_limits<double>::quiet_NaN();

/// [new classes] the stage and the class that each was; [layers] the new class.
struct StageClasses {
  std::vector<std::pair<int, int>> list;
  std::vector<int> of_layer;
};

StageClasses stage_classes(const Problem& problem, std::span<const int64_t> layers_per_stage) {
  StageClasses classes;
  int layer = 0;
  for (int stage = 0; stage < static_cast<int>(layers_per_stage.size()); ++stage)
    for (int64_t i = 0; i < layers_per_stage[static_cast<size_t>(stage)]; ++i, ++layer) {
      const std::pair wanted(stage, problem.class_of(layer));
      auto at = std::find(classes.list.begin(), classes.list.end(), wanted);
      if (at == classes.list.end()) at = classes.list.insert(at, wanted);
      classes.of_layer.push_back(static_cast<int>(at - classes.list.begin()));
    }
  CHECK(layer == problem.layers, Exit::kInternal, "stages of {} layers, the problem has {}", layer,
        problem.layers);
  return classes;
}

LayerSeconds seconds_of_stage(const LayerSeconds& seconds, const StageClasses& classes, int stage) {
  LayerSeconds result;
  for (const auto& [of_stage, old_class] : classes.list) {
    auto& table = result.emplace_back(seconds.at(static_cast<size_t>(old_class)));
    if (of_stage != stage)
      for (auto& of_format : table) std::fill(of_format.begin(), of_format.end(), kNoKernel);
  }
  return result;
}

void fix_devices(const Problem& problem, const StageClasses& classes, int stages, Problem& fixed) {
  fixed.kinds.clear();
  fixed.groups.clear();
  fixed.links.latency_s.clear();
  fixed.links.s_per_byte.clear();
  std::vector<size_t> groups;
  for (int stage = 0; stage < stages; ++stage) {
    const int group = problem.group_of(stage);
    CHECK(group >= 0, Exit::kInternal, "rank {} is in no group of the problem", stage);
    groups.push_back(static_cast<size_t>(group));
  }
  for (int stage = 0; stage < stages; ++stage) {
    const size_t old = groups[static_cast<size_t>(stage)];
    ProblemGroup& group = fixed.groups.emplace_back(problem.groups[old]);
    ProblemKind& kind = fixed.kinds.emplace_back(problem.kinds.at(static_cast<size_t>(group.kind)));
    kind.prefill_s = seconds_of_stage(kind.prefill_s, classes, stage);
    kind.decode_s = seconds_of_stage(kind.decode_s, classes, stage);
    group.kind = stage;
    group.ranks = {stage};
    auto& latency = fixed.links.latency_s.emplace_back();
    auto& per_byte = fixed.links.s_per_byte.emplace_back();
    for (size_t to : groups) {
      latency.push_back(problem.links.latency_s[old][to]);
      per_byte.push_back(problem.links.s_per_byte[old][to]);
    }
  }
}

}  // namespace

Problem with_formats(const Problem& problem, const std::function<bool(const std::string&)>& keep) {
  Problem result = problem;
  for (ProblemKind& kind : result.kinds)
    for (LayerSeconds* table : {&kind.prefill_s, &kind.decode_s})
      for (auto& of_class : *table)
        for (size_t f = 0; f < of_class.size(); ++f)
          if (!keep(problem.formats[f]))
            std::fill(of_class[f].begin(), of_class[f].end(), kNoKernel);
  return result;
}

Problem with_only_format(const Problem& problem, size_t format) {
  return with_formats(problem,
                      [&](const std::string& name) { return name == problem.formats.at(format); });
}

FewerBatchings with_batchings(const Problem& problem,
                              const std::function<bool(const Batching&)>& keep) {
  FewerBatchings result{problem, {}};
  result.problem.batchings.clear();
  for (size_t row = 0; row < problem.batchings.size(); ++row) {
    if (!keep(problem.batchings[row])) continue;
    result.problem.batchings.push_back(problem.batchings[row]);
    result.rows.push_back(static_cast<int>(row));
  }
  return result;
}

Problem with_fixed_stages(const Problem& problem, std::span<const int64_t> layers_per_stage) {
  const StageClasses classes = stage_classes(problem, layers_per_stage);
  Problem fixed = problem;
  fixed.layer_class = classes.of_layer;
  const auto spread = [&](const auto& by_class) {
    std::remove_cvref_t<decltype(by_class)> result;
    for (const auto& [stage, old_class] : classes.list)
      result.push_back(by_class.at(static_cast<size_t>(old_class)));
    return result;
  };
  fixed.layer_bytes = spread(problem.layer_bytes);
  for (Batching& row : fixed.batchings) row.kv_bytes_per_layer = spread(row.kv_bytes_per_layer);
  fix_devices(problem, classes, static_cast<int>(layers_per_stage.size()), fixed);
  return fixed;
}

}  // namespace llmpq
