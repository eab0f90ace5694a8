#include "commands/profile_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.hpp"
#include "base/table.hpp"
#include "profile/bind.hpp"

namespace llmpq {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<int64_t, 2> kChunks{256, 2048};
constexpr std::array<int64_t, 4> kBatches{1, 8, 32, 128};
constexpr int64_t kContext = 512;  ///< of decode rows

double layer_s(const LatencyModel& model, Format format, const StepShape& shape) {
  return layer_seconds(model, format, shape).value_or(0);
}

StepShape chunk_of(int64_t rows) {
  return {.prefill_rows = rows, .prefill_keys = keys_of(0, rows)};
}
StepShape batch_of(int64_t rows) { return {.decode_rows = rows, .decode_keys = rows * kContext}; }

std::string speeds_table(const LatencyModel& model) {
  std::vector<std::string> header{"format"};
  for (const int64_t rows : kChunks) header.push_back(fmt::format("prefill {}: tokens/s", rows));
  for (const int64_t rows : kBatches) header.push_back(fmt::format("decode {}: us", rows));
  Table table(header);
  for (const auto& [format, curve] : model.layer) {
    std::vector<std::string> row{std::string(name(format))};
    for (const int64_t rows : kChunks)
      row.push_back(fmt::format(
          "{:.0f}", static_cast<double>(rows) / layer_s(model, format, chunk_of(rows))));
    for (const int64_t rows : kBatches)
      row.push_back(fmt::format("{:.1f}", 1e6 * layer_s(model, format, batch_of(rows))));
    table.add(row);
  }
  return table.text();
}

std::string heads_text(const LatencyModel& model) {
  std::string text;
  for (const auto& [format, curve] : model.head)
    text += fmt::format("head {} and choice: {:.1f} us for 1 token, {:.1f} us for 32\n",
                        name(format), 1e6 * curve.at(1), 1e6 * curve.at(32));
  return text;
}

std::string origin_text(const RankProfile& rank) {
  if (rank.origin != "measured") return rank.origin;
  return fmt::format(
      "measured in {:.1f} s{}{}", rank.spent_s,
      rank.left_out > 0 ? fmt::format(", {} points left out for want of time", rank.left_out) : "",
      fmt::format(", times vary by {:.0f} %", 100 * rank.spread));
}

std::string error_text(const RankProfile& rank) {
  if (!rank.profile.held_out_error)
    return "mean error of the latency model where it was not fitted: not known\n";
  return fmt::format("mean error of the latency model where it was not fitted: {:.1f} %\n",
                     100 * *rank.profile.held_out_error);
}

/// Ranks whose profiles are the same, first ranks first.
std::vector<std::vector<int>> alike(const std::vector<RankProfile>& ranks) {
  std::vector<std::string> texts;
  std::vector<std::vector<int>> groups;
  for (size_t i = 0; i < ranks.size(); ++i) {
    const std::string text = to_json({"", {ranks[i].profile}, {}});
    const auto same = std::find(texts.begin(), texts.end(), text);
    const auto group = static_cast<size_t>(same - texts.begin());
    if (same == texts.end()) {
      texts.push_back(text);
      groups.emplace_back();
    }
    groups[group].push_back(static_cast<int>(i));
  }
  return groups;
}

std::string links_text(const std::vector<std::vector<LinkModel>>& links) {
  std::string text;
  for (size_t i = 1; i < links.size(); ++i)
    text += fmt::format("link {} -> {}: {:.1f} us and {:.2f} GB/s\n", i - 1, i,
                        1e6 * links[i - 1][i].latency_s, 1e-9 / links[i - 1][i].s_per_byte);
  return text;
}

}  // namespace

ProfileFile profile_file(const std::vector<RankProfile>& ranks,
                         const std::vector<std::vector<LinkModel>>& links,
                         const std::string& note) {
  ProfileFile file{note, {}, {}};
  for (const auto& group : alike(ranks))
    file.devices.push_back(ranks[static_cast<size_t>(group[0])].profile);
  for (size_t from = 0; from < links.size(); ++from)
    for (size_t to = 0; to < links.size(); ++to)
      if (from != to)
        file.links.push_back({static_cast<int>(from), static_cast<int>(to), links[from][to]});
  return file;
}

std::string describe(const std::vector<RankProfile>& ranks,
                     const std::vector<RankReport>& inventory,
                     const std::vector<std::vector<LinkModel>>& links) {
  std::string text;
  for (const auto& group : alike(ranks)) {
    const auto first = static_cast<size_t>(group[0]);
    const RankProfile& rank = ranks[first];
    const LatencyModel& model = rank.profile.model;
    text += fmt::format("{}: {} ({}), {}\n", ranks_text(group), rank.profile.device,
                        inventory[first].backend == BackendKind::kCuda
                            ? fmt::format("{} SMs", inventory[first].sms)
                            : fmt::format("{} threads", inventory[first].threads),
                        origin_text(rank));
    text += fmt::format("one layer; decode with {} tokens of context\n", kContext);
    text += speeds_table(model);
    text += fmt::format("attention per row and key: prefill {:.2f} ns, decode {:.2f} ns\n",
                        1e9 * model.prefill_key_s, 1e9 * model.decode_key_s);
    text += heads_text(model) + error_text(rank);
    for (const std::string& line : describe(rank.profile.products))
      text += fmt::format("GPU kernels of {}\n", line);
    text += "\n";
  }
  return text + links_text(links);
}

std::string to_json(const std::vector<RankProfile>& ranks, const std::vector<RankReport>& inventory,
                    const ProfileFile& file) {
  Json json{{"ranks", Json::array()}, {"profile", Json::parse(to_json(file))}};
  for (size_t i = 0; i < ranks.size(); ++i) {
    const RankProfile& rank = ranks[i];
    Json row{{"rank", i},
             {"host", inventory[i].host},
             {"device", rank.profile.device},
             {"origin", rank.origin},
             {"held_out_error", nullptr}};
    if (rank.profile.held_out_error) row["held_out_error"] = *rank.profile.held_out_error;
    if (rank.origin == "measured") {
      row["fitted_error"] = rank.fitted_error;
      row["spent_s"] = rank.spent_s;
      row["left_out"] = rank.left_out;
      row["spread"] = rank.spread;
      row["notes"] = rank.notes;
    }
    json["ranks"].push_back(row);
  }
  return dump_json(json);
}

}  // namespace llmpq
