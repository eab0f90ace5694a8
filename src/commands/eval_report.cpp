#include "commands/eval_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/table.hpp"
#include "plan/explain.hpp"

namespace llmpq {
namespace {

using Json = nlohmann::ordered_json;

/// "2.29062 +- 0.01230"; without an error "(one window: no error)".
std::string with_error(const Estimate& estimate, double scale, int digits) {
  const double value = scale * estimate.value;
  if (!estimate.error) return fmt::format("{:.{}f} (one window: error unknown)", value, digits);
  return fmt::format("{:.{}f} +- {:.{}f}", value, digits, scale * *estimate.error, digits);
}

Json to_json(const std::optional<double>& error) { return error ? Json(*error) : Json(nullptr); }

/// Mean over the scored tokens of what each window sums up.
template <typename Sum>
Estimate mean_by_window(const EvalReport& report, Sum sum) {
  std::vector<GroupSum> groups;
  for (const WindowScore& window : report.scores)
    groups.push_back({static_cast<double>(sum(window)), static_cast<double>(window.tokens)});
  return mean_of_groups(groups);
}

Estimate nats_of(const EvalReport& report) {
  return mean_by_window(report, [](const WindowScore& window) { return window.divergence; });
}

Estimate same_top_of(const EvalReport& report) {
  return mean_by_window(report, [](const WindowScore& window) { return window.same_top; });
}

/// The perplexity's over the reference's, less one.
Estimate increase_of(const EvalReport& report) {
  Estimate increase = exp_of(loss_increase(report.reference, report.scores));
  increase.value -= 1;
  return increase;
}

struct Solved {
  std::string kind;
  int64_t tasks = 0, solved = 0, failed = 0;
};

/// All tasks, then kind by kind in the file's order if there are several.
std::vector<Solved> solved_of(const EvalReport& report) {
  std::vector<Solved> all{{"all", 0, 0, 0}};
  for (size_t i = 0; i < report.tasks.size(); ++i) {
    const std::string& kind = report.tasks[i].kind;
    auto of_kind = std::find_if(all.begin() + 1, all.end(),
                                [&](const Solved& each) { return each.kind == kind; });
    if (of_kind == all.end()) of_kind = all.insert(of_kind, {kind, 0, 0, 0});
    for (Solved* each : {&all.front(), &*of_kind}) {
      ++each->tasks;
      each->solved += report.outcomes[i] == TaskOutcome::kSolved;
      each->failed += report.outcomes[i] == TaskOutcome::kFailed;
    }
  }
  if (all.size() == 2) all.pop_back();
  return all;
}

Json to_json(const Solved& solved) {
  const Share95 share = wilson_share(solved.solved, solved.tasks);
  return {{"tasks", solved.tasks}, {"solved", solved.solved}, {"failed", solved.failed},
          {"share", share.value},  {"low", share.low},        {"high", share.high}};
}

Json accuracy_json(const EvalReport& report) {
  const auto all = solved_of(report);
  Json json = to_json(all.front());
  json["kinds"] = Json::object();
  for (size_t i = 1; i < all.size(); ++i) json["kinds"][all[i].kind] = to_json(all[i]);
  return json;
}

Json divergence_json(const EvalReport& report) {
  const Estimate nats = nats_of(report), top = same_top_of(report), more = increase_of(report);
  return {{"mean", nats.value},
          {"standard_error", to_json(nats.error)},
          {"same_top", top.value},
          {"same_top_standard_error", to_json(top.error)},
          {"perplexity_increase", more.value},
          {"perplexity_increase_standard_error", to_json(more.error)},
          {"reference_perplexity", std::exp(loss_of(report.reference).value)}};
}

std::string describe_divergence(const EvalReport& report) {
  return fmt::format(
      "KL divergence {} nats from the unquantized model (perplexity {:.5f})\n"
      "same top-1 {} % of tokens\n"
      "perplexity increase {} %\n",
      with_error(nats_of(report), 1, 6), std::exp(loss_of(report.reference).value),
      with_error(same_top_of(report), 100, 2), with_error(increase_of(report), 100, 3));
}

/// The promise, below what was measured if it was.
std::string describe_promise(const EvalReport& report) {
  const std::string promise = promised_quality(report.promised);
  if (promise.empty() || report.scores.empty()) return "";
  return promise + (report.reference.empty() ? " (--divergence measures it)\n" : "\n");
}

Json promise_json(const PlanFigures& promised) {
  Json json{{"perplexity_increase", *promised.perplexity_increase}};
  if (promised.perplexity_quantizer) json["quantizer"] = name(*promised.perplexity_quantizer);
  return json;
}

std::string accuracy_table(const EvalReport& report) {
  Table table({"tasks", "count", "solved", "accuracy", "95 % from", "to", "failed"});
  for (const Solved& each : solved_of(report)) {
    const Share95 share = wilson_share(each.solved, each.tasks);
    table.add({each.kind, std::to_string(each.tasks), std::to_string(each.solved),
               fmt::format("{:.1f}%", 100 * share.value), fmt::format("{:.1f}%", 100 * share.low),
               fmt::format("{:.1f}%", 100 * share.high), std::to_string(each.failed)});
  }
  return table.text();
}

}  // namespace

std::string describe(const EvalReport& report) {
  std::string text;
  if (!report.scores.empty())
    text += fmt::format("perplexity {} over {} tokens in {} windows ({})\n",
                        with_error(exp_of(loss_of(report.scores)), 1, 5),
                        total(report.scores).tokens, report.scores.size(), report.formats);
  if (!report.reference.empty()) text += describe_divergence(report);
  text += describe_promise(report);
  if (!report.tasks.empty()) text += accuracy_table(report);
  return text;
}

std::string to_json(const EvalReport& report) {
  Json json{{"formats", report.formats}};
  if (!report.scores.empty()) {
    const Estimate perplexity = exp_of(loss_of(report.scores));
    const TotalScore sum = total(report.scores);
    json["perplexity"] = perplexity.value;
    json["standard_error"] = to_json(perplexity.error);
    json["tokens"] = sum.tokens;
    json["log_likelihood"] = sum.log_likelihood;
  }
  if (!report.reference.empty()) json["divergence"] = divergence_json(report);
  if (report.promised.perplexity_increase) json["promised"] = promise_json(report.promised);
  if (!report.tasks.empty()) json["accuracy"] = accuracy_json(report);
  if (report.scores.empty()) return dump_json(json);
  json["windows"] = Json::array();
  for (const WindowScore& score : report.scores)
    json["windows"].push_back({score.tokens, score.log_likelihood});
  return dump_json(json);
}

}  // namespace llmpq
