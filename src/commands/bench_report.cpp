#include "commands/bench_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/table.hpp"

namespace llmpq {
namespace {

using Json = nlohmann::ordered_json;

std::optional<double> ratio(double above, double below) {
  return below > 0 ? std::optional(above / below) : std::nullopt;
}

double unit_peak(const Peaks& peaks, Unit unit) {
  if (unit == Unit::kInt8) return peaks.int8_gops;
  const bool has_half = peaks.half_gflops > 0;  // else 16-bit numbers are multiplied as f32
  return unit == Unit::kHalf && has_half ? peaks.half_gflops : peaks.f32_gflops;
}

std::string percent(std::optional<double> share) {
  return share ? fmt::format("{:.1f} %", 100 * *share) : "-";
}
std::string number(std::optional<double> value) {
  return value ? fmt::format("{:.1f}", *value) : "-";
}

std::optional<double> predicted_output(const BenchReport& report, const BenchCase& c) {
  if (!c.predicted_s) return std::nullopt;
  return ratio(static_cast<double>(report.output_tokens), *c.predicted_s);
}

/// The worst of the stages.
double largest_bubble(const BenchRun& run) {
  double largest = 0;
  for (const BenchStage& stage : run.stages)
    largest = std::max(largest, stage.time.bubble_s / run.seconds);
  return largest;
}

/// Of the busiest stage in steps of that kind: where the pipeline could be faster.
std::optional<double> busiest(const BenchReport& report, const BenchRun& run, StepKind kind,
                              decltype(&bandwidth_share) share) {
  const BenchStage* stage = nullptr;
  for (const BenchStage& each : run.stages)
    if (!stage || each.time.busy_s.of(kind) > stage->time.busy_s.of(kind)) stage = &each;
  if (!stage) return std::nullopt;
  return share(stage->work.of(kind), stage->time.busy_s.of(kind),
               report.peaks.at(static_cast<size_t>(stage->rank)));
}

std::string cases_table(const BenchReport& report) {
  Table table({"strategy", "mix", "formats", "chunk", "batch", "lanes", "output tokens/s", "spread",
               "total", "prefill", "decode", "predicted", "load s"});
  for (const BenchCase& c : report.cases) {
    const Speeds speeds = speeds_of(median_run(c));
    table.add({c.strategy, c.mix, c.formats, std::to_string(c.prefill_tokens),
               std::to_string(c.decode_batch), std::to_string(c.lanes), number(speeds.output),
               percent(spread_of(c)), number(speeds.total), number(speeds.prefill),
               number(speeds.decode), number(predicted_output(report, c)),
               fmt::format("{:.2f}", c.load_s)});
  }
  return table.text();
}

std::string stages_table(const BenchReport& report, const BenchRun& run) {
  Table table({"stage", "rank", "layers", "busy", "bubble", "link", "prefill MBU", "MFU",
               "decode MBU", "MFU", "mixed MBU", "MFU"});
  for (size_t i = 0; i < run.stages.size(); ++i) {
    const BenchStage& s = run.stages[i];
    const Peaks& peaks = report.peaks.at(static_cast<size_t>(s.rank));
    std::vector<std::string> cells{std::to_string(i),
                                   std::to_string(s.rank),
                                   fmt::format("{}-{}", s.layer_begin, s.layer_end - 1),
                                   percent(ratio(s.time.busy_s.sum(), run.seconds)),
                                   percent(ratio(s.time.bubble_s, run.seconds)),
                                   percent(ratio(s.time.link_s, run.seconds))};
    for (const StepKind kind : {StepKind::kPrefill, StepKind::kDecode, StepKind::kMixed}) {
      const double busy_s = s.time.busy_s.of(kind);
      cells.push_back(percent(bandwidth_share(s.work.of(kind), busy_s, peaks)));
      cells.push_back(percent(arithmetic_share(s.work.of(kind), busy_s, peaks)));
    }
    table.add(std::move(cells));
  }
  return table.text();
}

Json optional_json(std::optional<double> value) { return value ? Json(*value) : Json(nullptr); }

Json kind_json(const BenchStage& stage, const Peaks& peaks, StepKind kind) {
  const StepWork& work = stage.work.of(kind);
  const double busy_s = stage.time.busy_s.of(kind);
  return {{"busy_s", busy_s},
          {"bytes", work.bytes},
          {"operations", work.all_operations()},
          {"mbu", optional_json(bandwidth_share(work, busy_s, peaks))},
          {"mfu", optional_json(arithmetic_share(work, busy_s, peaks))}};
}

Json run_json(const BenchReport& report, const BenchRun& run) {
  const Speeds speeds = speeds_of(run);
  Json stages = Json::array();
  for (const BenchStage& s : run.stages) {
    const Peaks& peaks = report.peaks.at(static_cast<size_t>(s.rank));
    stages.push_back({{"rank", s.rank},
                      {"layers", {s.layer_begin, s.layer_end}},
                      {"busy_s", s.time.busy_s.sum()},
                      {"bubble_s", s.time.bubble_s},
                      {"link_s", s.time.link_s},
                      {"prefill", kind_json(s, peaks, StepKind::kPrefill)},
                      {"decode", kind_json(s, peaks, StepKind::kDecode)},
                      {"mixed", kind_json(s, peaks, StepKind::kMixed)}});
  }
  return {{"seconds", run.seconds},
          {"output_tokens_per_s", speeds.output},
          {"total_tokens_per_s", speeds.total},
          {"prefill_tokens_per_s", optional_json(speeds.prefill)},
          {"decode_tokens_per_s", optional_json(speeds.decode)},
          {"prefill_rows", run.counts.prefill_rows},
          {"decode_rows", run.counts.decode_rows},
          {"output_tokens", run.counts.output_tokens},
          {"steps", run.counts.steps},
          {"preemptions", run.counts.preemptions},
          {"stages", std::move(stages)}};
}

Json case_json(const BenchReport& report, const BenchCase& c) {
  const Speeds speeds = speeds_of(median_run(c));
  Json json{{"strategy", c.strategy},
            {"mix", c.mix},
            {"formats", c.formats},
            {"prefill_tokens", c.prefill_tokens},
            {"decode_batch", c.decode_batch},
            {"lanes", c.lanes},
            {"load_s", c.load_s},
            {"output_tokens_per_s", speeds.output},
            {"total_tokens_per_s", speeds.total},
            {"prefill_tokens_per_s", optional_json(speeds.prefill)},
            {"decode_tokens_per_s", optional_json(speeds.decode)},
            {"spread", spread_of(c)},
            {"predicted_s", optional_json(c.predicted_s)},
            {"predicted_output_tokens_per_s", optional_json(predicted_output(report, c))},
            {"runs", Json::array()}};
  for (const BenchRun& run : c.runs) json["runs"].push_back(run_json(report, run));
  return json;
}

}  // namespace

Speeds speeds_of(const BenchRun& run) {
  ByKind<double> most;
  for (const BenchStage& stage : run.stages)
    for (const StepKind kind : {StepKind::kPrefill, StepKind::kDecode, StepKind::kMixed})
      most.of(kind) = std::max(most.of(kind), stage.time.busy_s.of(kind));
  Speeds speeds;
  const auto output = static_cast<double>(run.counts.output_tokens);
  const auto prefill = static_cast<double>(run.counts.prefill_rows);
  speeds.output = ratio(output, run.seconds).value_or(0);
  speeds.total = ratio(output + prefill, run.seconds).value_or(0);
  if (most.mixed > 0) return speeds;
  speeds.prefill = ratio(prefill, most.prefill);
  speeds.decode = ratio(static_cast<double>(run.counts.decode_rows), most.decode);
  return speeds;
}

const BenchRun& median_run(const BenchCase& c) {
  std::vector<const BenchRun*> sorted;
  for (const BenchRun& run : c.runs) sorted.push_back(&run);
  std::sort(sorted.begin(), sorted.end(),
            [](const BenchRun* a, const BenchRun* b) { return a->seconds < b->seconds; });
  return *sorted.at((sorted.size() - 1) / 2);
}

double spread_of(const BenchCase& c) {
  const auto [quickest, slowest] = std::minmax_element(
      c.runs.begin(), c.runs.end(),
      [](const BenchRun& a, const BenchRun& b) { return a.seconds < b.seconds; });
  return (slowest->seconds - quickest->seconds) / median_run(c).seconds;
}

std::optional<double> bandwidth_share(const StepWork& work, double seconds, const Peaks& peaks) {
  if (peaks.read_gbps <= 0) return std::nullopt;
  return ratio(work.bytes * 1e-9 / peaks.read_gbps, seconds);
}

std::optional<double> arithmetic_share(const StepWork& work, double seconds, const Peaks& peaks) {
  double least_s = 0;
  for (const Unit unit : {Unit::kF32, Unit::kInt8, Unit::kHalf}) {
    if (work.of(unit) == 0) continue;
    const double peak = unit_peak(peaks, unit);
    if (peak <= 0) return std::nullopt;
    least_s += work.of(unit) * 1e-9 / peak;
  }
  return ratio(least_s, seconds);
}

std::string describe(const BenchReport& report) {
  std::string text = fmt::format(
      "{} on {} rank{}: {} prompts, {} prompt tokens, {} output tokens; median of {}\n\n",
      report.model, report.devices.size(), report.devices.size() == 1 ? "" : "s", report.prompts,
      report.prompt_tokens, report.output_tokens,
      report.cases.empty() ? 0 : report.cases[0].runs.size());
  text += cases_table(report);
  for (const BenchCase& c : report.cases)
    text += fmt::format("\n{}, {}\n{}", c.strategy, c.mix, stages_table(report, median_run(c)));
  text += "\nMBU, MFU: shares of these peaks, measured in this run, while a stage computes\n";
  Table peaks({"rank", "device", "memory GB/s", "f32 GFLOP/s", "int8 Gop/s", "16 bit GFLOP/s"});
  for (size_t rank = 0; rank < report.peaks.size(); ++rank)
    peaks.add({std::to_string(rank), report.devices.at(rank), number(report.peaks[rank].read_gbps),
               number(report.peaks[rank].f32_gflops), number(report.peaks[rank].int8_gops),
               number(report.peaks[rank].half_gflops)});
  return text + peaks.text();
}

std::string to_json(const BenchReport& report) {
  Json json{{"model", report.model},
            {"prompts", report.prompts},
            {"prompt_tokens", report.prompt_tokens},
            {"output_tokens", report.output_tokens},
            {"ranks", Json::array()},
            {"cases", Json::array()}};
  for (size_t rank = 0; rank < report.devices.size(); ++rank) {
    const Peaks& peaks = report.peaks.at(rank);
    json["ranks"].push_back({{"device", report.devices[rank]},
                             {"read_gbps", peaks.read_gbps},
                             {"f32_gflops", peaks.f32_gflops},
                             {"int8_gops", peaks.int8_gops},
                             {"half_gflops", peaks.half_gflops}});
  }
  for (const BenchCase& c : report.cases) json["cases"].push_back(case_json(report, c));
  return dump_json(json);
}

std::string to_markdown(const BenchReport& report) {
  std::string text =
      "| model | ranks | strategy | mix | formats | prompts | output tokens/s | spread | total | "
      "prefill (MFU) | decode (MBU) | largest bubble | predicted | load s |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const BenchCase& c : report.cases) {
    const BenchRun& run = median_run(c);
    const Speeds speeds = speeds_of(run);
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {:.1f} | {} | {:.1f} | {} ({}) | {} ({}) | {} | {} | "
        "{:.2f} |\n",
        report.model, report.devices.size(), c.strategy, c.mix, c.formats, report.prompts,
        speeds.output, percent(spread_of(c)), speeds.total, number(speeds.prefill),
        percent(busiest(report, run, StepKind::kPrefill, arithmetic_share)), number(speeds.decode),
        percent(busiest(report, run, StepKind::kDecode, bandwidth_share)),
        percent(largest_bubble(run)), number(predicted_output(report, c)), c.load_s);
  }
  return text;
}

}  // namespace llmpq
