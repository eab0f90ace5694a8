#include "profile/bind.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace llmpq {
namespace {

constexpr int64_t kLeastMargin = int64_t{256} << 20;
constexpr int64_t kMarginParts = 50;  ///< one of them stays free

bool wants_gpu(const RankSight& rank) {
  return rank.wish == BackendWish::kCuda || (rank.wish == BackendWish::kAuto && !rank.gpus.empty());
}

bool see_the_same(const RankSight& a, const RankSight& b) {
  return a.host == b.host &&
         std::equal(a.gpus.begin(), a.gpus.end(), b.gpus.begin(), b.gpus.end(),
                    [](const DeviceInfo& x, const DeviceInfo& y) { return x.uuid == y.uuid; });
}

/// Ranks before this one that take a GPU from the same list.
size_t turn_of(const std::vector<RankSight>& ranks, size_t mine) {
  size_t before = 0;
  for (size_t i = 0; i < mine; ++i)
    if (wants_gpu(ranks[i]) && see_the_same(ranks[i], ranks[mine])) ++before;
  return before;
}

const DeviceInfo& gpu_of(const RankSight& rank, const RankBinding& binding) {
  return rank.gpus.at(static_cast<size_t>(binding.gpu));
}

std::map<std::string, std::vector<size_t>> ranks_by_uuid(const std::vector<RankSight>& ranks,
                                                         const std::vector<RankBinding>& bindings) {
  std::map<std::string, std::vector<size_t>> by_uuid;
  for (size_t i = 0; i < ranks.size(); ++i)
    if (bindings[i].kind == BackendKind::kCuda)
      by_uuid[gpu_of(ranks[i], bindings[i]).uuid].push_back(i);
  return by_uuid;
}

[[noreturn]] void fail_shared(const std::vector<RankSight>& ranks, size_t first, size_t second,
                              const DeviceInfo& gpu) {
  const RankSight& a = ranks[first];
  const RankSight& b = ranks[second];
  const auto on_host = std::count_if(ranks.begin(), ranks.end(), [&](const RankSight& rank) {
    return rank.host == b.host && wants_gpu(rank);
  });
  fail(
      Exit::kGpu,
      "ranks {} and {} on {} would compute on one GPU, {} ({}): {} ranks there want a GPU, rank {} "
      "sees {}; start fewer ranks a node, give each task a GPU of its own (srun "
      "--gpus-per-task=1), allow it with --share-gpu, or compute on CPUs with --backend cpu",
      a.rank, b.rank, a.host == b.host ? b.host : a.host + " and " + b.host, gpu.name, gpu.uuid,
      on_host, b.rank, b.gpus.size());
}

std::string explanation(const RankSight& rank, const RankBinding& binding) {
  if (binding.kind == BackendKind::kCuda)
    return binding.sharers > 1 ? "CUDA, on shared GPUs (--share-gpu)" : "CUDA, each on its own GPU";
  return "the CPU: " + (rank.wish == BackendWish::kCpu ? "as --backend says" : rank.why_none);
}

}  // namespace

std::vector<RankBinding> bind_ranks(const std::vector<RankSight>& ranks, bool share_gpu) {
  std::vector<RankBinding> bindings(ranks.size());
  for (size_t i = 0; i < ranks.size(); ++i) {
    const RankSight& rank = ranks[i];
    if (!wants_gpu(rank)) continue;
    CHECK(!rank.gpus.empty(), Exit::kGpu,
          "--backend cuda: rank {} on {} has no GPU: {}; compute there with --backend cpu, or let "
          "--backend auto choose",
          rank.rank, rank.host, rank.why_none);
    bindings[i].kind = BackendKind::kCuda;
    bindings[i].gpu = static_cast<int>(turn_of(ranks, i) % rank.gpus.size());
  }
  for (const auto& [uuid, sharers] : ranks_by_uuid(ranks, bindings)) {
    if (sharers.size() > 1 && !share_gpu)
      fail_shared(ranks, sharers[0], sharers[1], gpu_of(ranks[sharers[0]], bindings[sharers[0]]));
    for (const size_t i : sharers) bindings[i].sharers = static_cast<int>(sharers.size());
  }
  return bindings;
}

std::vector<BindingLine> explain(const std::vector<RankSight>& ranks,
                                 const std::vector<RankBinding>& bindings) {
  std::map<std::pair<std::string, bool>, std::vector<int>> by_text;
  for (size_t i = 0; i < ranks.size(); ++i) {
    const bool wasted = ranks[i].wish == BackendWish::kAuto && ranks[i].gpu_on_bus &&
                        bindings[i].kind == BackendKind::kCpu;
    by_text[{explanation(ranks[i], bindings[i]), wasted}].push_back(ranks[i].rank);
  }
  std::vector<BindingLine> lines;
  for (const auto& [text, of] : by_text)
    lines.push_back({fmt::format("{}: {}{}", ranks_text(of), text.first,
                                 text.second ? "; there is an NVIDIA GPU in the machine" : ""),
                     text.second});
  return lines;
}

int64_t gpu_share(int64_t free_bytes, int64_t total_bytes, int sharers) {
  const int64_t margin = std::max(kLeastMargin, total_bytes / kMarginParts);
  return std::max<int64_t>(0, free_bytes / sharers - margin);
}

std::string ranges_text(const std::vector<int>& ascending) {
  std::string text;
  for (size_t begin = 0, end = 0; begin < ascending.size(); begin = end) {
    for (end = begin + 1; end < ascending.size() && ascending[end] == ascending[end - 1] + 1;)
      ++end;
    text += fmt::format("{}{}", begin > 0 ? "," : "", ascending[begin]);
    if (end - begin > 1) text += fmt::format("-{}", ascending[end - 1]);
  }
  return text;
}

std::string ranks_text(const std::vector<int>& ascending) {
  return (ascending.size() == 1 ? "rank " : "ranks ") + ranges_text(ascending);
}

}  // namespace llmpq
