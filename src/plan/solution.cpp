#include "plan/solution.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/table.hpp"
#include "base/whole.hpp"

namespace llmpq {
namespace {

using nlohmann::ordered_json;

const auto at = [](const auto& list, int index) -> const auto& {
  return list[static_cast<size_t>(index)];
};

/// "w8 x3, w4 x2"
std::string run_lengths(const Problem& problem, const std::vector<int>& formats) {
  std::string text;
  for (size_t begin = 0, end = 0; begin < formats.size(); begin = end) {
    while (end < formats.size() && formats[end] == formats[begin]) ++end;
    text += fmt::format("{}{} x{}", text.empty() ? "" : ", ", at(problem.formats, formats[begin]),
                        end - begin);
  }
  return text;
}

std::string idle_ranks(const Problem& problem, const Assignment& assignment) {
  std::set<int> used;
  for (const AssignedStage& stage : assignment.stages) used.insert(stage.rank);
  std::string text;
  for (const ProblemGroup& group : problem.groups)
    for (const int rank : group.ranks)
      if (!used.contains(rank))
        text += fmt::format("rank {} ({}) idles: it has no stage\n", rank, group.name);
  return text;
}

std::string proof(const Planned& planned) {
  const std::string found = fmt::format("found by {} in {:.3f} s: {}\n", name(planned.planner),
                                        planned.solve_s, planned.note);
  if (!planned.lower_bound) return found;
  return fmt::format("no plan is below {:.6g} s: gap {:.3f} %\n", *planned.lower_bound,
                     100 * *planned.gap()) +
         found;
}

/// Whole numbers without a fraction: the plan file has bytes and lanes as such.
ordered_json whole(double value) {
  if (is_whole(value)) return static_cast<int64_t>(value);
  return value;
}

ordered_json stage_json(const Problem& problem, const AssignedStage& stage,
                        const StageScore& score) {
  ordered_json formats = ordered_json::array();
  for (const int format : stage.formats) formats.push_back(at(problem.formats, format));
  return {{"ranks", {stage.rank}},      {"layers", {stage.begin, stage.end}},
          {"formats", formats},         {"prefill_s", score.prefill_s},
          {"decode_s", score.decode_s}, {"bytes", whole(score.bytes)}};
}

}  // namespace

std::string describe(const Problem& problem, const Planned& planned) {
  const Assignment& assignment = planned.assignment;
  const Score& score = planned.score;
  const Batching& batching = at(problem.batchings, assignment.batching);
  Table table({"stage", "rank", "device", "layers", "formats", "chunk ms", "decode ms", "busy s",
               "memory", "budget"});
  for (size_t i = 0; i < assignment.stages.size(); ++i) {
    const AssignedStage& stage = assignment.stages[i];
    const ProblemGroup& group = problem.group_with(stage.rank);
    const StageScore busy = busy_of(batching, score.stages[i]);
    table.add({std::to_string(i), std::to_string(stage.rank), group.name,
               fmt::format("[{}, {})", stage.begin, stage.end), run_lengths(problem, stage.formats),
               fmt::format("{:.3f}", 1e3 * score.stages[i].prefill_s),
               fmt::format("{:.3f}", 1e3 * score.stages[i].decode_s),
               fmt::format("{:.3f}", busy.prefill_s + busy.decode_s),
               bytes_text(static_cast<int64_t>(score.stages[i].bytes)),
               bytes_text(static_cast<int64_t>(group.memory_bytes))});
  }
  const std::string bound =
      problem.max_omega ? fmt::format(" of at most {:.6g}", *problem.max_omega) : "";
  return fmt::format(
             "{}: {} layers on {} stages, {}; prefill chunks of {} tokens, {} lanes of {} "
             "sequences "
             "(row {} of {} batchings)\n",
             problem.name, problem.layers, assignment.stages.size(), name(batching.mix),
             at(problem.prefill_tokens, batching.prefill), batching.in_flight,
             at(problem.decode_sequences, batching.decode), assignment.batching,
             problem.batchings.size()) +
         table.text() + idle_ranks(problem, assignment) +
         fmt::format("time {:.6g} s, omega {:.6g}{}, objective {:.6g} s\n", score.time_s,
                     score.omega, bound, score.objective) +
         proof(planned);
}

std::string to_json(const Problem& problem, const Planned& planned) {
  const Assignment& assignment = planned.assignment;
  const Batching& batching = at(problem.batchings, assignment.batching);
  const ordered_json bound =
      planned.lower_bound ? ordered_json(*planned.lower_bound) : ordered_json(nullptr);
  const ordered_json head{{"format", "llmpq-plan-1"},
                          {"model", nullptr},
                          {"mix", name(batching.mix)},
                          {"prefill_tokens", at(problem.prefill_tokens, batching.prefill)},
                          {"decode_batch", at(problem.decode_sequences, batching.decode)},
                          {"lanes", whole(batching.in_flight)},
                          {"kv_block_tokens", nullptr},
                          {"kv_blocks", nullptr},
                          {"head_format", nullptr},
                          {"strategy", name(planned.planner)},
                          {"problem", problem.name},
                          {"batching", assignment.batching},
                          {"time_s", planned.score.time_s},
                          {"simulated_s", nullptr},
                          {"omega", planned.score.omega},
                          {"objective", planned.score.objective},
                          {"lower_bound", bound},
                          {"solve_s", planned.solve_s}};
  std::string text = "{\n";
  for (const auto& item : head.items())
    text += fmt::format("  \"{}\": {},\n", item.key(), dump_json(item.value()));
  std::vector<std::string> stages;
  for (size_t i = 0; i < assignment.stages.size(); ++i)
    stages.push_back("      " +
                     dump_json(stage_json(problem, assignment.stages[i], planned.score.stages[i])));
  return text +
         fmt::format(
             "  \"pipelines\": [\n    {{\"phases\":[\"prefill\",\"decode\"],\"stages\":[\n{}\n"
             "    ]}}\n  ]\n}}\n",
             fmt::join(stages, ",\n"));
}

}  // namespace llmpq
