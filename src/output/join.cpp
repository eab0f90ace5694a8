#include "output/join.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "output/result.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;
constexpr auto kCode = Exit::kOutput;

/// Rows in memory at once.
constexpr int64_t kWindow = 256;

struct Shard {
  fs::path path;
  ResultHead head;
};

std::vector<Shard> read_heads(const std::vector<fs::path>& paths) {
  std::vector<Shard> shards;
  for (const fs::path& path : paths) shards.push_back({path, ResultReader(path).head()});
  return shards;
}

/// The first thing in which two shards' jobs differ, in words; "" if there is none, or a shard does
/// not say what its rows depend on. Their rows are looked at elsewhere.
std::string difference(const Shard& one, const Shard& other) {
  if (one.head.fingerprint.empty() || other.head.fingerprint.empty()) return "";
  const auto mine = parse_json(one.head.fingerprint, one.path.string(), kCode);
  const auto theirs = parse_json(other.head.fingerprint, other.path.string(), kCode);
  for (const auto& [key, value] : mine.items())
    if (key != "rows" && theirs.contains(key) && theirs[key] != value)
      return fmt::format("{} is {} in {} and {} in {}", key, dump_json(value), one.path.string(),
                         dump_json(theirs[key]), other.path.string());
  return "";
}

void check_neighbours(const Shard& before, const Shard& after) {
  CHECK(before.head.num_samples == after.head.num_samples &&
            before.head.logprobs == after.head.logprobs,
        kCode, "{} has {} samples and logprobs {}, but {} has {} and {}: not of one job",
        before.path.string(), before.head.num_samples, before.head.logprobs, after.path.string(),
        after.head.num_samples, after.head.logprobs);
  const std::string differs = difference(before, after);
  CHECK(differs.empty(), kCode, "{}: not of one job", differs);
  const int64_t end = before.head.rows.end, begin = after.head.rows.begin;
  CHECK(end >= begin, kCode, "rows {} to {} are missing between {} and {}", end, begin,
        before.path.string(), after.path.string());
  CHECK(end <= begin, kCode, "rows {} to {} are in {} and in {}", begin,
        std::min(end, after.head.rows.end), before.path.string(), after.path.string());
}

ResultHead joined_head(const std::vector<Shard>& shards) {
  ResultHead head = shards.front().head;
  head.rows.end = shards.back().head.rows.end;
  if (shards.size() == 1) return head;
  if (!head.fingerprint.empty()) {
    auto print = parse_json(head.fingerprint, shards.front().path.string(), kCode);
    print["rows"] = fmt::format("{}:{}", head.rows.begin, head.rows.end);
    head.fingerprint = dump_json(print);
  }
  head.plans.clear();
  nlohmann::json times = nlohmann::json::array();
  for (const Shard& shard : shards) {
    head.plans.insert(head.plans.end(), shard.head.plans.begin(), shard.head.plans.end());
    times.push_back(parse_json(shard.head.times, shard.path.string() + ":/run@times", kCode));
  }
  head.times = dump_json(times);
  return head;
}

}  // namespace

std::vector<fs::path> in_row_order(std::vector<fs::path> paths) {
  std::vector<Shard> shards = read_heads(paths);
  std::ranges::sort(shards, {}, [](const Shard& shard) {
    return std::pair(shard.head.rows.begin, shard.head.rows.end);
  });
  for (size_t i = 1; i < shards.size(); ++i) check_neighbours(shards[i - 1], shards[i]);
  std::ranges::transform(shards, paths.begin(), &Shard::path);
  return paths;
}

void join_results(const std::vector<fs::path>& paths, const fs::path& to) {
  const std::vector<Shard> shards = read_heads(paths);
  ResultWriter writer(to, joined_head(shards));
  int32_t plans_before = 0;
  for (const Shard& shard : shards) {
    const ResultReader reader(shard.path);
    for (int64_t begin = 0; begin < reader.rows(); begin += kWindow) {
      const int64_t count = std::min(kWindow, reader.rows() - begin);
      std::vector<FinishedRow> rows = reader.read(begin, count);
      for (FinishedRow& row : rows) {
        if (row.plan_index >= 0) row.plan_index += plans_before;
      }
      writer.append(rows, reader.read_ids(begin, count));
    }
    plans_before += static_cast<int32_t>(shard.head.plans.size());
  }
  writer.finish();
}

}  // namespace llmpq
