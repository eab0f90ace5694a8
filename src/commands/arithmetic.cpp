#include "commands/arithmetic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.hpp"
#include "base/log.hpp"
#include "kernels/check.hpp"
#include "profile/bind.hpp"
#include "stage/stage.hpp"

namespace llmpq {
namespace {

/// By ActivationType, and last bf16 inputs of bf16 weights on a CPU: sums of another order than all
/// other products have (kernels/cpu/matmul_bf16.hpp).
constexpr std::array<std::string_view, 5> kClassNames{"f32", "bf16", "f16", "int8", "bf16-pairs"};

size_t class_of(const Backend& backend, Format format, ActivationType type) {
  const bool pairs = backend.kind() == BackendKind::kCpu && format == Format::kBf16 &&
                     type == ActivationType::kBf16;
  return pairs ? kClassNames.size() - 1 : static_cast<size_t>(type);
}

std::set<std::string> different(const std::vector<std::string>& classes) {
  std::set<std::string> set(classes.begin(), classes.end());
  set.erase("");
  return set;
}

std::map<std::string, std::vector<int>> ranks_by_class(const std::vector<std::string>& classes) {
  std::map<std::string, std::vector<int>> ranks;
  for (size_t rank = 0; rank < classes.size(); ++rank)
    if (!classes[rank].empty()) ranks[classes[rank]].push_back(static_cast<int>(rank));
  return ranks;
}

void tell(const std::vector<std::string>& classes) {
  std::vector<std::string> parts;
  for (const auto& [name, ranks] : ranks_by_class(classes))
    parts.push_back(fmt::format("{}: {}", ranks_text(ranks), name));
  log_warning("the ranks round differently ({}): results depend on which layers are on which rank",
              fmt::join(parts, "; "));
}

}  // namespace

std::string arithmetic_class(const Backend& backend, const Plan& plan,
                             std::optional<ActivationType> wish) {
  std::set<Format> formats{plan.head_format};
  for (const Format format : layer_formats(plan)) formats.insert(format);
  std::set<size_t> classes;
  for (const Format format : formats)
    classes.insert(class_of(backend, format, activation_type(wish, format, backend)));
  std::vector<std::string_view> names;
  for (const size_t each : classes) names.push_back(kClassNames.at(each));
  return fmt::format("{} {}", backend.name(), fmt::join(names, "+"));
}

std::vector<std::string> gather_arithmetic(const Mpi& mpi, const std::string& mine) {
  std::vector<std::string> classes = mpi.all_gather(mine);
  if (mpi.rank() == 0 && different(classes).size() > 1) tell(classes);
  return classes;
}

std::string arithmetic_json(const std::vector<std::string>& classes) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (size_t rank = 0; rank < classes.size(); ++rank)
    if (!classes[rank].empty()) json[std::to_string(rank)] = classes[rank];
  return dump_json(json);
}

void check_arithmetic(const std::string& versions, const std::vector<std::string>& classes,
                      const std::string& path) {
  const auto stored = parse_json(versions, path + ": versions", Exit::kOutput);
  if (!stored.is_object() || !stored.contains("arithmetic")) return;
  std::vector<std::string> before;
  for (const auto& [rank, name] : stored["arithmetic"].items())
    if (name.is_string()) before.push_back(name);
  const auto old = different(before), now = different(classes);
  // Fewer are no others: rows of such a job depend on where their layers are anyway.
  CHECK(std::ranges::includes(old, now), Exit::kOutput,
        "{}: cannot go on: its rows were made on ranks that round as \"{}\", these would round as "
        "\"{}\"; take the same program, kinds of devices (--backend) and --activation-dtype, allow "
        "it with --allow-format-change, or begin anew with --overwrite without --resume",
        path, fmt::join(old, "\" and \""), fmt::join(now, "\" and \""));
}

}  // namespace llmpq
