#include "plan/evaluate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace llmpq {
namespace {

/// Rounding of a sum of omegas, as plan_check.py allows it.
constexpr double kOmegaRounding = 1e-12;

const auto at = [](const auto& list, int index) -> const auto& {
  return list[static_cast<size_t>(index)];
};

double transfer_s(const Problem& problem, int from, int to, int64_t rows) {
  const ProblemLinks& links = problem.links;
  return at(at(links.latency_s, from), to) + at(at(links.s_per_byte, from), to) *
                                                 links.activation_bytes_per_token *
                                                 static_cast<double>(rows);
}

StageScore score_stage(const Problem& problem, const Batching& batching, int group,
                       const AssignedStage& stage) {
  const ProblemKind& kind = at(problem.kinds, at(problem.groups, group).kind);
  const bool first = stage.begin == 0, last = stage.end == problem.layers;
  StageScore score;
  score.bytes = batching.workspace_bytes;
  if (first) {
    score.prefill_s += at(kind.embed_prefill_s, batching.prefill);
    score.decode_s += at(kind.embed_decode_s, batching.decode);
    score.bytes += batching.first_bytes;
  }
  if (last) {
    score.prefill_s += at(kind.head_prefill_s, batching.prefill);
    score.decode_s += at(kind.head_decode_s, batching.decode);
    score.bytes += batching.last_bytes;
  }
  if (first && last) score.bytes -= batching.shared_bytes;
  for (int layer = stage.begin; layer < stage.end; ++layer) {
    const int format = at(stage.formats, layer - stage.begin), c = problem.class_of(layer);
    score.prefill_s += at(at(at(kind.prefill_s, c), format), batching.prefill);
    score.decode_s += at(at(at(kind.decode_s, c), format), batching.decode);
    score.bytes += at(at(problem.layer_bytes, c), format) + at(batching.kv_bytes_per_layer, c);
  }
  return score;
}

double time_of(const Batching& batching, const StepTimes& steps) {
  const double sums =
      batching.prefill_sum * steps.prefill_sum + batching.decode_sum * steps.decode_sum;
  if (batching.mix == Mix::kSeparated) {
    const double prefill_s = *std::max_element(steps.prefill_s.begin(), steps.prefill_s.end());
    const double decode_s = *std::max_element(steps.decode_s.begin(), steps.decode_s.end());
    return sums + batching.prefill_max * prefill_s + batching.decode_max * decode_s +
           batching.rounds * std::max(batching.in_flight * decode_s, steps.decode_sum);
  }
  const double decodes = batching.decode_max + batching.rounds * batching.in_flight;
  double load_s = 0;
  for (size_t i = 0; i < steps.prefill_s.size(); ++i)
    load_s =
        std::max(load_s, batching.prefill_max * steps.prefill_s[i] + decodes * steps.decode_s[i]);
  return sums + std::max(load_s, batching.chunk_rounds * steps.prefill_sum +
                                     (batching.rounds - batching.chunk_rounds) * steps.decode_sum);
}

bool has_kernel(const Problem& problem, const Batching& batching, int group, int layer,
                int format) {
  const ProblemKind& kind = at(problem.kinds, at(problem.groups, group).kind);
  const int c = problem.class_of(layer);
  return !std::isnan(at(at(at(kind.prefill_s, c), format), batching.prefill)) &&
         !std::isnan(at(at(at(kind.decode_s, c), format), batching.decode));
}

std::string broken_stage(const Problem& problem, const Assignment& assignment, size_t index) {
  const AssignedStage& stage = assignment.stages[index];
  const int next = index == 0 ? 0 : assignment.stages[index - 1].end;
  const std::string where = fmt::format("stage {}: ", index);
  if (stage.begin != next || stage.end <= next || stage.end > problem.layers)
    return fmt::format("{}layers [{}, {}) do not follow layer {}", where, stage.begin, stage.end,
                       next);
  const int group = problem.group_of(stage.rank);
  if (group < 0) return fmt::format("{}rank {} is not in the problem", where, stage.rank);
  if (static_cast<int>(stage.formats.size()) != stage.end - stage.begin)
    return fmt::format("{}{} formats for {} layers", where, stage.formats.size(),
                       stage.end - stage.begin);
  for (int layer = stage.begin; layer < stage.end; ++layer) {
    const int format = at(stage.formats, layer - stage.begin);
    if (format < 0 || format >= static_cast<int>(problem.formats.size()))
      return fmt::format("layer {}: there is no format {}", layer, format);
    if (!has_kernel(problem, at(problem.batchings, assignment.batching), group, layer, format))
      return fmt::format("layer {}: {} has no kernel for {}", layer,
                         at(problem.kinds, at(problem.groups, group).kind).name,
                         at(problem.formats, format));
  }
  return "";
}

/// Ranks that stand twice, or not in the fixed order.
std::string broken_order(const Problem& problem, const Assignment& assignment) {
  std::set<int> seen;
  auto next = problem.order.begin();
  for (const AssignedStage& stage : assignment.stages) {
    if (!seen.insert(stage.rank).second) return fmt::format("rank {} has two stages", stage.rank);
    if (problem.order.empty()) continue;
    next = std::find(next, problem.order.end(), stage.rank);
    if (next == problem.order.end()) return "ranks are not in the fixed order";
  }
  return "";
}

}  // namespace

StepTimes step_times(const Problem& problem, const Assignment& assignment,
                     const std::vector<StageScore>& stages) {
  const Batching& batching = at(problem.batchings, assignment.batching);
  StepTimes steps;
  const auto add = [&](double prefill_s, double decode_s, bool in_sum) {
    steps.prefill_s.push_back(prefill_s);
    steps.decode_s.push_back(decode_s);
    if (!in_sum) return;
    steps.prefill_sum += prefill_s;
    steps.decode_sum += decode_s;
  };
  for (const StageScore& stage : stages) add(stage.prefill_s, stage.decode_s, true);
  for (size_t i = 1; i < stages.size(); ++i) {
    const int from = problem.group_of(assignment.stages[i - 1].rank);
    const int to = problem.group_of(assignment.stages[i].rank);
    add(transfer_s(problem, from, to, at(problem.prefill_tokens, batching.prefill)),
        transfer_s(problem, from, to, at(problem.decode_sequences, batching.decode)),
        problem.links.in_sum);
  }
  return steps;
}

std::vector<int> formats_of_layers(const Problem& problem, const Assignment& assignment) {
  std::vector<int> formats(static_cast<size_t>(problem.layers));
  for (const AssignedStage& stage : assignment.stages)
    std::copy(stage.formats.begin(), stage.formats.end(), formats.begin() + stage.begin);
  return formats;
}

Score evaluate(const Problem& problem, const Assignment& assignment) {
  const Batching& batching = at(problem.batchings, assignment.batching);
  Score score;
  for (const AssignedStage& stage : assignment.stages) {
    score.stages.push_back(score_stage(problem, batching, problem.group_of(stage.rank), stage));
    for (int layer = stage.begin; layer < stage.end; ++layer)
      score.omega += at(at(problem.omega, layer), at(stage.formats, layer - stage.begin));
  }
  score.time_s = time_of(batching, step_times(problem, assignment, score.stages));
  score.objective = score.time_s + problem.theta * score.omega;
  return score;
}

StageScore busy_of(const Batching& batching, const StageScore& stage) {
  double chunks = batching.prefill_max;
  double steps = batching.decode_max + batching.rounds * batching.in_flight;
  if (batching.mix == Mix::kSeparated) {  // where the first of each wave is in the sums
    chunks += batching.prefill_sum;
    steps += batching.decode_sum;
  }
  return {chunks * stage.prefill_s, steps * stage.decode_s, stage.bytes};
}

std::string broken_rule(const Problem& problem, const Assignment& assignment) {
  if (assignment.batching < 0 || assignment.batching >= static_cast<int>(problem.batchings.size()))
    return fmt::format("batching {} does not exist", assignment.batching);
  if (assignment.stages.empty()) return "there are no stages";
  for (size_t i = 0; i < assignment.stages.size(); ++i)
    if (std::string broken = broken_stage(problem, assignment, i); !broken.empty()) return broken;
  if (assignment.stages.back().end != problem.layers)
    return fmt::format("layers end at {}, the model has {}", assignment.stages.back().end,
                       problem.layers);
  if (std::string broken = broken_order(problem, assignment); !broken.empty()) return broken;
  const Score score = evaluate(problem, assignment);
  for (size_t i = 0; i < score.stages.size(); ++i) {
    const int rank = assignment.stages[i].rank;
    const double memory = problem.group_with(rank).memory_bytes;
    if (score.stages[i].bytes > memory)
      return fmt::format("stage {}: rank {} needs {:.0f} bytes of {:.0f}", i, rank,
                         score.stages[i].bytes, memory);
  }
  if (problem.max_omega && score.omega > *problem.max_omega * (1 + kOmegaRounding))
    return fmt::format("omega {} exceeds the bound {}", score.omega, *problem.max_omega);
  return "";
}

}  // namespace llmpq
