#include "plan/sizes.hpp"

#include <algorithm>
#include <limits>

namespace llmpq {
namespace {

/// What keeps a device busy: a GPU wants more rows for one reading of its weights than a CPU.
struct UsualSizes {
  int32_t decode_batch, prefill_tokens;
};
constexpr UsualSizes kCpuSizes{32, 256}, kGpuSizes{128, 2048};
constexpr int64_t kManyStages = 4;  // a chunk's way through all of them holds up decode batches
constexpr int32_t kLeastPrefillTokens = 16;

int32_t halved(int32_t size, int times, int32_t least) { return std::max(size >> times, least); }

/// The CPU's where one takes part: it is the one that a large chunk would keep all waiting for.
UsualSizes usual_sizes(const PlanRequest& request) {
  const bool gpus_only =
      std::all_of(request.ranks.begin(), request.ranks.end(),
                  [](const RankMemory& rank) { return rank.backend == BackendKind::kCuda; });
  return gpus_only && !request.ranks.empty() ? kGpuSizes : kCpuSizes;
}

}  // namespace

std::vector<MicroBatches> choose_micro_batches(const PlanRequest& request, int64_t stages) {
  const PlanWishes& wishes = request.wishes;
  const UsualSizes sizes = usual_sizes(request);
  const int64_t sequences = std::max<int64_t>(1, request.workload.sequences);
  MicroBatches usual;
  usual.mix = wishes.mix.value_or(Mix::kInterleaved);
  usual.lanes = wishes.lanes.value_or(static_cast<int32_t>(std::min(stages, sequences)));
  const int64_t share = (sequences + usual.lanes - 1) / usual.lanes;
  usual.decode_batch = static_cast<int32_t>(std::min<int64_t>(sizes.decode_batch, share));
  usual.prefill_tokens = stages < kManyStages ? sizes.prefill_tokens : sizes.prefill_tokens / 2;

  std::vector<MicroBatches> choices;
  for (int times = 0; times == 0 || sizes.decode_batch >> times > 0; ++times) {
    MicroBatches choice = usual;
    choice.decode_batch = wishes.decode_batch.value_or(halved(usual.decode_batch, times, 1));
    choice.prefill_tokens =
        wishes.prefill_tokens.value_or(halved(usual.prefill_tokens, times, kLeastPrefillTokens));
    if (choices.empty() || choice != choices.back()) choices.push_back(choice);
  }
  return choices;
}

int64_t least_kv_blocks(const PlanRequest& request) {
  const int64_t tokens = std::max<int64_t>(1, request.workload.max_sequence_tokens);
  return (tokens + request.kv_block_tokens - 1) / request.kv_block_tokens;
}

int64_t useful_kv_blocks(const PlanRequest& request, const MicroBatches& batches) {
  const int64_t ahead = batches.mix == Mix::kSeparated ? 0 : 1;
  const int64_t places = (batches.lanes + ahead) * batches.decode_batch;
  const int64_t sequences = std::min(places, std::max<int64_t>(1, request.workload.sequences));
  return std::min<int64_t>(sequences * least_kv_blocks(request),
                           std::numeric_limits<int32_t>::max());
}

}  // namespace llmpq
