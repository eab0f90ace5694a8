#include "plan/problem_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/table.hpp"
#include "input/job.hpp"
#include "input/json_fields.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFileFormat = "llmpq-problem-1";
constexpr int64_t kMostIndex = std::numeric_limits<int32_t>::max();

const std::vector<std::string> kKeys{
    "format", "name",           "layers",           "formats",  "layer_class", "layer_bytes",
    "omega",  "theta",          "max_omega",        "kinds",    "groups",      "links",
    "order",  "prefill_tokens", "decode_sequences", "batchings"};
const std::vector<std::string> kKindKeys{
    "name",           "prefill_s",      "decode_s",     "embed_prefill_s",
    "head_prefill_s", "embed_decode_s", "head_decode_s"};
const std::vector<std::string> kGroupKeys{"name", "kind", "ranks", "memory_bytes"};
const std::vector<std::string> kLinkKeys{"latency_s", "s_per_byte", "activation_bytes_per_token",
                                         "in_sum"};
const std::vector<std::string> kBatchingKeys{"mix",
                                             "prefill",
                                             "decode",
                                             "in_flight",
                                             "prefill_sum",
                                             "prefill_max",
                                             "decode_sum",
                                             "decode_max",
                                             "rounds",
                                             "kv_bytes_per_layer",
                                             "workspace_bytes",
                                             "first_bytes",
                                             "last_bytes",
                                             "shared_bytes",
                                             "chunk_rounds"};

/// Other tools may add keys; a misspelt optional key must not go unnoticed.
void refuse_misspelt(const JsonFields& fields, const std::vector<std::string>& keys) {
  for (const std::string& key : fields.keys()) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    const std::string near = nearest_name(key, keys);
    CHECK(near.empty() || fields.has(near), Exit::kUsage,
          "{}{} is no key of this file; did you mean {}?", fields.where(), shorten(key, 60), near);
  }
}

[[noreturn]] void refuse(const JsonFields& fields, const std::string& key, std::string_view wanted,
                         const json& found) {
  fail(Exit::kUsage, "{}{}: want {}, found {}", fields.where(), key, wanted,
       shorten(dump_json(found), 60));
}

const json& list(const JsonFields& fields, const std::string& key, const json& value) {
  if (!value.is_array()) refuse(fields, key, "a list", value);
  return value;
}
const json& list(const JsonFields& fields, const std::string& key) {
  const json* value = fields.find(key);
  CHECK(value, Exit::kUsage, "{}{} is missing, want a list", fields.where(), key);
  return list(fields, key, *value);
}

double number(const JsonFields& fields, const std::string& key, const json& value, bool may_miss) {
  if (may_miss && value.is_null()) return std::nan("");
  if (!value.is_number() || !std::isfinite(value.get<double>()) || value.get<double>() < 0)
    refuse(fields, key, may_miss ? "a number of 0 or more, or null" : "a number of 0 or more",
           value);
  return value.get<double>();
}

int64_t integer(const JsonFields& fields, const std::string& key, const json& value, int64_t most) {
  const bool is_whole = value.is_number_integer() ||
                        (value.is_number_float() && std::trunc(value.get<double>()) == value);
  const double found = value.is_number() ? value.get<double>() : -1;
  if (!is_whole || found < 0 || found > static_cast<double>(most))
    refuse(fields, key, fmt::format("a whole number from 0 to {}", most), value);
  return static_cast<int64_t>(found);
}

std::vector<double> numbers(const JsonFields& fields, const std::string& key, const json& value,
                            bool may_miss = false) {
  std::vector<double> result;
  for (const json& element : list(fields, key, value))
    result.push_back(number(fields, key, element, may_miss));
  return result;
}

std::vector<std::vector<double>> table(const JsonFields& fields, const std::string& key,
                                       const json& value, bool may_miss = false) {
  std::vector<std::vector<double>> result;
  for (const json& row : list(fields, key, value))
    result.push_back(numbers(fields, key, row, may_miss));
  return result;
}

std::vector<int64_t> integers(const JsonFields& fields, const std::string& key, int64_t most) {
  std::vector<int64_t> result;
  for (const json& element : list(fields, key))
    result.push_back(integer(fields, key, element, most));
  return result;
}
std::vector<int> indices(const JsonFields& fields, const std::string& key) {
  const std::vector<int64_t> values = integers(fields, key, kMostIndex);
  return {values.begin(), values.end()};
}

/// Tables gain an axis of classes where there is a layer_class.
LayerSeconds layer_seconds(const JsonFields& fields, const std::string& key, bool classes) {
  LayerSeconds result;
  if (!classes) {
    result.push_back(table(fields, key, list(fields, key), true));
  } else {
    for (const json& of_class : list(fields, key))
      result.push_back(table(fields, key, of_class, true));
  }
  return result;
}

ProblemKind read_kind(const JsonFields& fields, bool classes) {
  refuse_misspelt(fields, kKindKeys);
  ProblemKind kind;
  kind.name = fields.text("name");
  kind.prefill_s = layer_seconds(fields, "prefill_s", classes);
  kind.decode_s = layer_seconds(fields, "decode_s", classes);
  const auto row = [&](const char* key) { return numbers(fields, key, list(fields, key)); };
  kind.embed_prefill_s = row("embed_prefill_s");
  kind.head_prefill_s = row("head_prefill_s");
  kind.embed_decode_s = row("embed_decode_s");
  kind.head_decode_s = row("head_decode_s");
  return kind;
}

ProblemGroup read_group(const JsonFields& fields) {
  refuse_misspelt(fields, kGroupKeys);
  ProblemGroup group;
  group.name = fields.text("name");
  group.kind = static_cast<int>(fields.integer("kind", 0, kMostIndex));
  group.ranks = indices(fields, "ranks");
  group.memory_bytes = fields.not_negative("memory_bytes");
  return group;
}

ProblemLinks read_links(const JsonFields& fields) {
  refuse_misspelt(fields, kLinkKeys);
  ProblemLinks links;
  links.latency_s = table(fields, "latency_s", list(fields, "latency_s"));
  links.s_per_byte = table(fields, "s_per_byte", list(fields, "s_per_byte"));
  links.activation_bytes_per_token = fields.not_negative("activation_bytes_per_token");
  if (const json* in_sum = fields.find("in_sum")) {
    if (!in_sum->is_boolean()) refuse(fields, "in_sum", "true or false", *in_sum);
    links.in_sum = in_sum->get<bool>();
  }
  return links;
}

Batching read_batching(const JsonFields& fields, bool classes) {
  refuse_misspelt(fields, kBatchingKeys);
  Batching batching;
  if (const std::string mix = fields.text_or("mix", ""); !mix.empty()) {
    const auto known = parse_mix(mix);
    if (!known) fields.refuse("mix", "separated, interleaved or mixed");
    batching.mix = *known;
  }
  batching.prefill = static_cast<int>(fields.integer("prefill", 0, kMostIndex));
  batching.decode = static_cast<int>(fields.integer("decode", 0, kMostIndex));
  batching.in_flight = fields.not_negative("in_flight");
  batching.prefill_sum = fields.not_negative("prefill_sum");
  batching.prefill_max = fields.not_negative("prefill_max");
  batching.decode_sum = fields.not_negative("decode_sum");
  batching.decode_max = fields.not_negative("decode_max");
  batching.rounds = fields.not_negative("rounds");
  batching.chunk_rounds = fields.not_negative_or("chunk_rounds", 0);
  batching.workspace_bytes = fields.not_negative("workspace_bytes");
  batching.first_bytes = fields.not_negative("first_bytes");
  batching.last_bytes = fields.not_negative("last_bytes");
  batching.shared_bytes = fields.not_negative_or("shared_bytes", 0);
  const std::string key = "kv_bytes_per_layer";
  if (classes)
    batching.kv_bytes_per_layer = numbers(fields, key, list(fields, key));
  else
    batching.kv_bytes_per_layer = {fields.not_negative(key)};
  return batching;
}

void read_layers(const JsonFields& fields, Problem& problem) {
  problem.layers = static_cast<int>(fields.integer("layers", 1, kMostIndex));
  for (const json& format : list(fields, "formats")) {
    if (!format.is_string()) refuse(fields, "formats", "a list of names", format);
    problem.formats.push_back(format.get<std::string>());
  }
  if (fields.has("layer_class")) problem.layer_class = indices(fields, "layer_class");
  const json& bytes = list(fields, "layer_bytes");
  if (fields.has("layer_class"))
    problem.layer_bytes = table(fields, "layer_bytes", bytes);
  else
    problem.layer_bytes = {numbers(fields, "layer_bytes", bytes)};
  problem.omega = table(fields, "omega", list(fields, "omega"));
  problem.theta = fields.not_negative("theta");
  if (fields.has("max_omega")) problem.max_omega = fields.not_negative("max_omega");
}

/// A row of the outer list a line.
std::string lines(const ordered_json& value) {
  std::vector<std::string> rows;
  for (const auto& row : value) rows.push_back("    " + dump_json(row));
  return fmt::format("[\n{}\n  ]", fmt::join(rows, ",\n"));
}

/// Without a layer_class the only class has no axis of its own.
template <typename T>
ordered_json by_class(const Problem& problem, const std::vector<T>& values) {
  return problem.layer_class.empty() ? ordered_json(values.at(0)) : ordered_json(values);
}

ordered_json kind_json(const Problem& problem, const ProblemKind& kind) {
  return {{"name", kind.name},
          {"prefill_s", by_class(problem, kind.prefill_s)},  // NaN becomes null
          {"decode_s", by_class(problem, kind.decode_s)},
          {"embed_prefill_s", kind.embed_prefill_s},
          {"head_prefill_s", kind.head_prefill_s},
          {"embed_decode_s", kind.embed_decode_s},
          {"head_decode_s", kind.head_decode_s}};
}

ordered_json batching_json(const Problem& problem, const Batching& batching) {
  return {{"mix", name(batching.mix)},
          {"prefill", batching.prefill},
          {"decode", batching.decode},
          {"in_flight", batching.in_flight},
          {"prefill_sum", batching.prefill_sum},
          {"prefill_max", batching.prefill_max},
          {"decode_sum", batching.decode_sum},
          {"decode_max", batching.decode_max},
          {"rounds", batching.rounds},
          {"kv_bytes_per_layer", by_class(problem, batching.kv_bytes_per_layer)},
          {"workspace_bytes", batching.workspace_bytes},
          {"first_bytes", batching.first_bytes},
          {"last_bytes", batching.last_bytes},
          {"shared_bytes", batching.shared_bytes},
          {"chunk_rounds", batching.chunk_rounds}};
}

}  // namespace

Problem parse_problem(std::string_view text, std::string_view name) {
  const std::string file(name);
  const json value = parse_json_unique(text, file, Exit::kUsage);
  const JsonFields fields(value, file);
  fields.check_format(kFileFormat);
  refuse_misspelt(fields, kKeys);
  Problem problem;
  problem.name = fields.text_or("name", "");
  read_layers(fields, problem);
  const bool classes = fields.has("layer_class");
  for (const JsonFields& kind : fields.objects("kinds"))
    problem.kinds.push_back(read_kind(kind, classes));
  problem.prefill_tokens = integers(fields, "prefill_tokens", kMostIndex);
  problem.decode_sequences = integers(fields, "decode_sequences", kMostIndex);
  for (const JsonFields& group : fields.objects("groups"))
    problem.groups.push_back(read_group(group));
  problem.links = read_links(fields.object("links"));
  for (const JsonFields& batching : fields.objects("batchings"))
    problem.batchings.push_back(read_batching(batching, classes));
  if (fields.has("order")) problem.order = indices(fields, "order");
  check_problem(problem, file);
  return problem;
}

std::string to_json(const Problem& problem) {
  std::vector<std::string> keys;
  const auto add = [&](const char* key, const std::string& value) {
    keys.push_back(fmt::format("  \"{}\": {}", key, value));
  };
  const auto line = [&](const char* key, const ordered_json& value) { add(key, dump_json(value)); };
  line("format", kFileFormat);
  line("name", problem.name);
  line("layers", problem.layers);
  line("formats", problem.formats);
  if (!problem.layer_class.empty()) line("layer_class", problem.layer_class);
  line("layer_bytes", by_class(problem, problem.layer_bytes));
  add("omega", lines(problem.omega));
  line("theta", problem.theta);
  line("max_omega", problem.max_omega ? ordered_json(*problem.max_omega) : ordered_json());
  line("prefill_tokens", problem.prefill_tokens);
  line("decode_sequences", problem.decode_sequences);
  ordered_json kinds = ordered_json::array(), groups = kinds, batchings = kinds;
  for (const ProblemKind& kind : problem.kinds) kinds.push_back(kind_json(problem, kind));
  for (const ProblemGroup& group : problem.groups)
    groups.push_back({{"name", group.name},
                      {"kind", group.kind},
                      {"ranks", group.ranks},
                      {"memory_bytes", group.memory_bytes}});
  for (const Batching& batching : problem.batchings)
    batchings.push_back(batching_json(problem, batching));
  add("kinds", lines(kinds));
  add("groups", lines(groups));
  line("links", {{"latency_s", problem.links.latency_s},
                 {"s_per_byte", problem.links.s_per_byte},
                 {"activation_bytes_per_token", problem.links.activation_bytes_per_token},
                 {"in_sum", problem.links.in_sum}});
  add("batchings", lines(batchings));
  line("order", problem.order.empty() ? ordered_json() : ordered_json(problem.order));
  return fmt::format("{{\n{}\n}}\n", fmt::join(keys, ",\n"));
}

}  // namespace llmpq
