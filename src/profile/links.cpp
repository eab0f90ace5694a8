#include "profile/links.hpp"

#include <fmt/core.h>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// Why NCCL cannot connect the stages; empty if it can.
std::string obstacle(const std::vector<LinkedStage>& stages) {
  for (const LinkedStage& stage : stages) {
    if (stage.backend != BackendKind::kCuda)
      return fmt::format("rank {} computes on its CPU", stage.rank);
    if (!stage.why_no_links.empty())
      return fmt::format("rank {}: {}", stage.rank, stage.why_no_links);
  }
  for (size_t i = 1; i < stages.size(); ++i)
    if (stages[i - 1].uuid == stages[i].uuid)
      return fmt::format("ranks {} and {} share the GPU {}", stages[i - 1].rank, stages[i].rank,
                         stages[i].uuid);
  return "";
}

}  // namespace

LinkChoice choose_link(LinkWish wish, const std::vector<LinkedStage>& stages) {
  const std::string why_not = obstacle(stages);
  CHECK(wish != LinkWish::kNccl || why_not.empty(), Exit::kUsage,
        "--link nccl: {}; take --link auto or mpi", why_not);
  if (wish == LinkWish::kMpi) return {LinkKind::kMpi, "as --link says"};
  if (stages.size() < 2) return {LinkKind::kMpi, "a single stage sends nothing"};
  if (!why_not.empty()) return {LinkKind::kMpi, why_not};
  return {LinkKind::kNccl,
          wish == LinkWish::kNccl ? "as --link says" : "each stage has a GPU of its own"};
}

}  // namespace llmpq
