#include "plan/plan_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/table.hpp"
#include "input/job.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFileFormat = "llmpq-plan-1";
constexpr int64_t kMostTokens = 1 << 20, kMostLanes = 4096, kMostBlockTokens = 4096;
constexpr int64_t kMostRanks = 1 << 20, kMostLayers = 100'000;
constexpr int64_t kMostBlocks = std::numeric_limits<int32_t>::max();

const std::vector<std::string> kPlanKeys{"format",
                                         "model",
                                         "mix",
                                         "prefill_tokens",
                                         "decode_batch",
                                         "lanes",
                                         "kv_blocks",
                                         "head_format",
                                         "pipelines",
                                         "strategy",
                                         "problem",
                                         "batching",
                                         "time_s",
                                         "omega",
                                         "objective",
                                         "lower_bound",
                                         "simulated_s",
                                         "solve_s",
                                         "kv_block_tokens",
                                         "perplexity_increase",
                                         "best_objective",
                                         "perplexity_quantizer"};
const std::vector<std::string> kPipelineKeys{"phases", "stages"};
const std::vector<std::string> kStageKeys{"ranks",     "layers",   "formats",
                                          "prefill_s", "decode_s", "bytes"};

/// An object of the file and the way to it ("pipelines[0].stages[2]."), for messages.
class Fields {
 public:
  Fields(const json& object, std::string file, std::string path)
      : object_(object), file_(std::move(file)), path_(std::move(path)) {
    CHECK(object.is_object(), Exit::kUsage, "{}: {}want an object, found {}", file_,
          path_.empty() ? "" : path_.substr(0, path_.size() - 1) + ": ", shown(object));
  }

  void allow(const std::vector<std::string>& keys) const {
    for (const auto& item : object_.items()) {
      if (std::find(keys.begin(), keys.end(), item.key()) != keys.end()) continue;
      const std::string near = nearest_name(item.key(), keys);
      fail(Exit::kUsage, "{}: unknown key '{}{}'; {}", file_, path_, shorten(item.key(), 60),
           near.empty() ? fmt::format("want one of {}", fmt::join(keys, ", "))
                        : fmt::format("did you mean '{}'?", near));
    }
  }
  /// The value; nullptr if it is missing or null.
  const json* find(const std::string& key) const {
    const auto at = object_.find(key);
    return at == object_.end() || at->is_null() ? nullptr : &*at;
  }
  const json& at(const std::string& key, std::string_view wanted) const {
    const json* value = find(key);
    CHECK(value, Exit::kUsage, "{}: {}{} is missing, want {}", file_, path_, key, wanted);
    return *value;
  }
  [[noreturn]] void refuse(const std::string& key, std::string_view wanted,
                           const json& found) const {
    fail(Exit::kUsage, "{}: {}{}: want {}, found {}", file_, path_, key, wanted, shown(found));
  }

  /// A whole number in [least, most]; 0 if missing.
  int64_t integer(const std::string& key, int64_t least, int64_t most) const {
    const json* value = find(key);
    return value ? integer(key, *value, least, most) : 0;
  }
  int64_t integer(const std::string& key, const json& value, int64_t least, int64_t most) const {
    const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= uint64_t(most)
                                                 : value.is_number_integer();
    if (!fits || value.get<int64_t>() < least || value.get<int64_t>() > most)
      refuse(key, fmt::format("a whole number from {} to {}", least, most), value);
    return value.get<int64_t>();
  }
  /// Seconds and the like; nothing if missing.
  std::optional<double> number(const std::string& key) const {
    const json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_number()) refuse(key, "a number", *value);
    return value->get<double>();
  }
  std::string text(const std::string& key) const {
    const json* value = find(key);
    if (!value) return {};
    if (!value->is_string()) refuse(key, "a text", *value);
    return value->get<std::string>();
  }
  const json& list(const std::string& key, std::string_view wanted) const {
    const json& value = at(key, wanted);
    if (!value.is_array() || value.empty()) refuse(key, wanted, value);
    return value;
  }
  Fields element(const std::string& key, size_t index) const {
    return {object_.at(key)[index], file_, fmt::format("{}{}[{}].", path_, key, index)};
  }

 private:
  static std::string shown(const json& value) { return shorten(dump_json(value), 60); }

  const json& object_;
  std::string file_, path_;
};

std::string format_names() {
  std::vector<std::string_view> names;
  for (const FormatInfo& row : kFormats) names.push_back(row.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

Format read_format(const Fields& fields, const std::string& key, const json& value) {
  const auto format =
      value.is_string() ? parse_format(value.get_ref<const std::string&>()) : std::nullopt;
  if (!format) fields.refuse(key, "one of " + format_names(), value);
  return *format;
}

StagePlan read_stage(const Fields& fields) {
  fields.allow(kStageKeys);
  StagePlan stage;
  for (const json& rank : fields.list("ranks", "a list of ranks"))
    stage.ranks.push_back(static_cast<int>(fields.integer("ranks", rank, 0, kMostRanks)));
  const std::string range = "[begin, end], the first layer and the one after the last";
  const json& layers = fields.list("layers", range);
  if (layers.size() != 2) fields.refuse("layers", range, layers);
  stage.layer_begin = fields.integer("layers", layers[0], 0, kMostLayers);
  stage.layer_end = fields.integer("layers", layers[1], 0, kMostLayers);
  if (stage.layer_begin >= stage.layer_end) fields.refuse("layers", range, layers);
  const auto count = static_cast<size_t>(stage.layer_end - stage.layer_begin);
  const std::string wanted = fmt::format("{} formats, one for each layer", count);
  const json& formats = fields.list("formats", wanted);
  if (formats.size() != count) fields.refuse("formats", wanted, formats);
  for (const json& format : formats)
    stage.formats.push_back(read_format(fields, "formats", format));
  stage.prefill_s = fields.number("prefill_s");
  stage.decode_s = fields.number("decode_s");
  stage.bytes = fields.integer("bytes", 0, std::numeric_limits<int64_t>::max());
  return stage;
}

PipelinePlan read_pipeline(const Fields& fields) {
  fields.allow(kPipelineKeys);
  PipelinePlan pipeline;
  if (fields.find("phases")) {
    const std::string wanted = "a list of \"prefill\" and \"decode\"";
    const json& phases = fields.list("phases", wanted);
    pipeline.prefill = pipeline.decode = false;
    for (const json& phase : phases) {
      if (phase != "prefill" && phase != "decode") fields.refuse("phases", wanted, phases);
      (phase == "prefill" ? pipeline.prefill : pipeline.decode) = true;
    }
  }
  const size_t stages = fields.list("stages", "a list of stages").size();
  for (size_t i = 0; i < stages; ++i)
    pipeline.stages.push_back(read_stage(fields.element("stages", i)));
  return pipeline;
}

Mix read_mix(const Fields& fields) {
  const json* value = fields.find("mix");
  if (!value) return Mix::kInterleaved;
  const auto mix =
      value->is_string() ? parse_mix(value->get_ref<const std::string&>()) : std::nullopt;
  if (!mix) fields.refuse("mix", "separated, interleaved or mixed", *value);
  return *mix;
}

std::optional<Quantizer> read_quantizer(const Fields& fields, const char* key) {
  const json* value = fields.find(key);
  if (!value) return std::nullopt;
  const auto quantizer =
      value->is_string() ? parse_quantizer(value->get_ref<const std::string&>()) : std::nullopt;
  if (!quantizer) fields.refuse(key, "rtn or gptq", *value);
  return quantizer;
}

void read_sizes(const Fields& fields, Plan& plan) {
  const auto size = [&](const char* key, int64_t most) {
    return static_cast<int32_t>(fields.integer(key, 1, most));
  };
  plan.prefill_tokens = size("prefill_tokens", kMostTokens);
  plan.decode_batch = size("decode_batch", kMostTokens);
  plan.lanes = size("lanes", kMostLanes);
  plan.kv_blocks = size("kv_blocks", kMostBlocks);
  if (fields.find("kv_block_tokens"))
    plan.kv_block_tokens = size("kv_block_tokens", kMostBlockTokens);
}

PlanFigures read_figures(const Fields& fields) {
  PlanFigures figures;
  figures.strategy = fields.text("strategy");
  figures.problem = fields.text("problem");
  if (fields.find("batching"))
    figures.batching = fields.integer("batching", 0, std::numeric_limits<int64_t>::max());
  figures.time_s = fields.number("time_s");
  figures.simulated_s = fields.number("simulated_s");
  figures.omega = fields.number("omega");
  figures.objective = fields.number("objective");
  figures.lower_bound = fields.number("lower_bound");
  figures.solve_s = fields.number("solve_s");
  figures.perplexity_increase = fields.number("perplexity_increase");
  figures.perplexity_quantizer = read_quantizer(fields, "perplexity_quantizer");
  figures.best_objective = fields.number("best_objective");
  return figures;
}

/// Adds the figures that there are; a solver's plan has all the keys.
void add_figures(const PlanFigures& figures, ordered_json& head) {
  if (!figures.strategy.empty()) head["strategy"] = figures.strategy;
  if (figures.problem.empty() && !figures.time_s && !figures.simulated_s) return;
  const auto add = [&](const char* key, const auto& value) {
    head[key] = value ? ordered_json(*value) : ordered_json(nullptr);
  };
  head["problem"] = figures.problem;
  add("batching", figures.batching);
  add("time_s", figures.time_s);
  add("simulated_s", figures.simulated_s);
  add("omega", figures.omega);
  add("objective", figures.objective);
  add("lower_bound", figures.lower_bound);
  add("solve_s", figures.solve_s);
  if (figures.perplexity_increase) add("perplexity_increase", figures.perplexity_increase);
  if (figures.perplexity_quantizer)
    head["perplexity_quantizer"] = name(*figures.perplexity_quantizer);
  if (figures.best_objective) add("best_objective", figures.best_objective);
}

ordered_json stage_json(const StagePlan& stage) {
  ordered_json out;
  out["ranks"] = stage.ranks;
  out["layers"] = {stage.layer_begin, stage.layer_end};
  out["formats"] = ordered_json::array();
  for (Format format : stage.formats) out["formats"].push_back(name(format));
  if (stage.prefill_s) out["prefill_s"] = *stage.prefill_s;
  if (stage.decode_s) out["decode_s"] = *stage.decode_s;
  if (stage.bytes > 0) out["bytes"] = stage.bytes;
  return out;
}

std::string pipeline_json(const PipelinePlan& pipeline) {
  ordered_json phases = ordered_json::array();
  if (pipeline.prefill) phases.push_back("prefill");
  if (pipeline.decode) phases.push_back("decode");
  std::vector<std::string> stages;
  for (const StagePlan& stage : pipeline.stages)
    stages.push_back("      " + dump_json(stage_json(stage)));
  return fmt::format("    {{\"phases\":{},\"stages\":[\n{}\n    ]}}", dump_json(phases),
                     fmt::join(stages, ",\n"));
}

}  // namespace

std::string to_json(const Plan& plan) {
  ordered_json head;
  head["format"] = kFileFormat;
  head["model"] = plan.model;
  head["mix"] = name(plan.mix);
  const auto size = [&](const char* key, int32_t value) {
    head[key] = value > 0 ? ordered_json(value) : ordered_json(nullptr);
  };
  size("prefill_tokens", plan.prefill_tokens);
  size("decode_batch", plan.decode_batch);
  size("lanes", plan.lanes);
  size("kv_block_tokens", plan.kv_block_tokens);
  size("kv_blocks", plan.kv_blocks);
  head["head_format"] = name(plan.head_format);
  add_figures(plan.figures, head);
  std::string text = "{\n";
  for (const auto& item : head.items())
    text += fmt::format("  \"{}\": {},\n", item.key(), dump_json(item.value()));
  std::vector<std::string> pipelines;
  for (const PipelinePlan& pipeline : plan.pipelines) pipelines.push_back(pipeline_json(pipeline));
  return text + fmt::format("  \"pipelines\": [\n{}\n  ]\n}}\n", fmt::join(pipelines, ",\n"));
}

Plan parse_plan(std::string_view text, std::string_view name, Format head_format) {
  const json file = parse_json_unique(text, std::string(name), Exit::kUsage);
  const Fields fields(file, std::string(name), "");
  const std::string wanted = fmt::format("\"{}\"", kFileFormat);
  const json& format = fields.at("format", wanted);
  if (format != kFileFormat) fields.refuse("format", wanted, format);
  fields.allow(kPlanKeys);
  Plan plan;
  plan.model = fields.text("model");
  plan.mix = read_mix(fields);
  read_sizes(fields, plan);
  const json* head = fields.find("head_format");
  plan.head_format = head ? read_format(fields, "head_format", *head) : head_format;
  const size_t pipelines = fields.list("pipelines", "a list of pipelines").size();
  for (size_t i = 0; i < pipelines; ++i)
    plan.pipelines.push_back(read_pipeline(fields.element("pipelines", i)));
  plan.layers = plan.pipelines[0].stages.back().layer_end;
  plan.figures = read_figures(fields);
  return plan;
}

}  // namespace llmpq
