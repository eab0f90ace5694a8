#include "output/report.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/table.hpp"

namespace llmpq {
namespace {

double per_second(int64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

std::string share_text(double part_s, double whole_s) {
  return fmt::format("{:.1f} %", whole_s > 0 ? 100 * part_s / whole_s : 0);
}

}  // namespace

std::string report_table(const Report& report) {
  Table table({"what", "value"});
  const auto add = [&](const char* what, std::string value) {
    table.add({what, std::move(value)});
  };
  add("rows ok", std::to_string(report.rows.done - report.rows.failed));
  add("rows failed", std::to_string(report.rows.failed));
  add("prompt tokens", std::to_string(report.work.prefill_rows));
  add("output tokens", std::to_string(report.work.output_tokens));
  if (!report.strategy.empty()) add("strategy of the plan", report.strategy);
  add("seconds to load", fmt::format("{:.2f}", report.load_s));
  add("seconds to run", fmt::format("{:.2f}", report.run_s));
  add("prompt tokens/s", fmt::format("{:.1f}", per_second(report.work.prefill_rows, report.run_s)));
  add("output tokens/s",
      fmt::format("{:.1f}", per_second(report.work.output_tokens, report.run_s)));
  if (report.promised_tokens_per_s)
    add("output tokens/s, as promised", fmt::format("{:.1f}", *report.promised_tokens_per_s));
  add("of the run, reading prompts", share_text(report.reading_s, report.run_s));
  add("of the run, writing rows", share_text(report.writing_s, report.run_s));
  add("of the run, no prompt at hand", share_text(report.work.starved_s, report.run_s));
  add("steps", std::to_string(report.work.steps));
  if (report.work.preemptions > 0) add("preemptions", std::to_string(report.work.preemptions));
  return table.text() + "output: " + report.output.string() + "\n";
}

std::string report_json(const Report& report) {
  nlohmann::json json = {
      {"output", report.output.string()},
      {"rows", report.rows.rows},
      {"rows_done", report.rows.done},
      {"rows_failed", report.rows.failed},
      {"prompt_tokens", report.work.prefill_rows},
      {"output_tokens", report.work.output_tokens},
      {"load_s", report.load_s},
      {"run_s", report.run_s},
      {"reading_s", report.reading_s},
      {"writing_s", report.writing_s},
      {"starved_s", report.work.starved_s},
      {"output_tokens_per_s", per_second(report.work.output_tokens, report.run_s)},
      {"steps", report.work.steps},
      {"preemptions", report.work.preemptions}};
  if (!report.strategy.empty()) json["strategy"] = report.strategy;
  if (report.promised_tokens_per_s)
    json["promised_output_tokens_per_s"] = *report.promised_tokens_per_s;
  return dump_json(json) + "\n";
}

void print_report(const Job& job, const Report& report) {
  const std::string text = job.json ? report_json(report) : report_table(report);
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace llmpq
