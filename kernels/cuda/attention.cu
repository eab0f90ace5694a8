// Attention: decides which kernels a step needs. Nothing here reads device memory, so that a step
// can be recorded as a graph.
#include "kernels/cuda/attention.cuh"

#include <algorithm>
#include <climits>

#include "kernels/cuda/scratch.hpp"

namespace llmpq::cuda {
namespace {

bool is_power_of_two(int64_t x) { return x > 0 && (x & (x - 1)) == 0; }

bool aligned(const void* pointer, size_t bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % bytes == 0;
}

/// What prefill and decode are written for; everything else goes the plain way.
bool suits_tensor_cores(const StreamContext& context, const AttentionArgs& args) {
  constexpr int64_t kHeadDims[] = {32, 64, 80, 96, 128, 256};
  const KvCache& cache = *args.cache;
  const int64_t tokens = cache.blocks * cache.kv_heads * cache.block_tokens;  // 32-bit in kernels
  return context.session->compute_capability >= 80 && cache.type != DType::kF32 &&
         args.soft_cap == 0.0f &&
         std::find(std::begin(kHeadDims), std::end(kHeadDims), cache.head_dim) !=
             std::end(kHeadDims) &&
         is_power_of_two(cache.block_tokens) && tokens < UINT32_MAX && aligned(cache.k, 16) &&
         aligned(cache.v, 16) && aligned(args.y, 8) && compiled_for_tensor_cores();
}

AttentionLaunch make_launch(const AttentionArgs& args) {
  const KvCache& cache = *args.cache;
  AttentionLaunch launch{};
  launch.q = args.q;
  launch.q_stride = args.q_stride;
  launch.y = args.y;
  launch.rounded = args.rounded;
  launch.list = args.ranges.list;
  launch.block_table = args.ranges.block_table;
  launch.ranges = static_cast<int>(args.ranges.count);
  launch.singles = static_cast<int>(args.ranges.singles);
  launch.k = cache.k;
  launch.v = cache.v;
  launch.k_scale = cache.k_scale;
  launch.v_scale = cache.v_scale;
  launch.heads = static_cast<int>(args.heads);
  launch.kv_heads = static_cast<int>(cache.kv_heads);
  launch.group = launch.heads / launch.kv_heads;
  launch.head_dim = static_cast<int>(cache.head_dim);
  launch.block_tokens = static_cast<int>(cache.block_tokens);
  while ((int64_t{1} << launch.block_shift) < cache.block_tokens) ++launch.block_shift;
  launch.window = static_cast<int>(std::min<int64_t>(args.window, INT_MAX));
  launch.scale = args.scale;
  launch.soft_cap = args.soft_cap;
  launch.slopes = args.alibi_slopes;
  return launch;
}

/// Pieces of kSplitTokens that one row may see: with a window fewer than the context has.
int64_t most_splits(const AttentionArgs& args) {
  const int64_t all = divide_up(std::max<int64_t>(1, args.ranges.most_tokens), kSplitTokens);
  return args.window > 0 ? std::min(all, divide_up(args.window - 1, kSplitTokens) + 1) : all;
}

}  // namespace

void attention(StreamContext& context, const AttentionArgs& args) {
  const RangeList& ranges = args.ranges;
  if (ranges.count == 0 || ranges.rows == 0) return;
  const AttentionLaunch launch = make_launch(args);
  if (!suits_tensor_cores(context, args))
    return attention_plain(context, launch, args.cache->type, ranges.rows);

  const int64_t several = ranges.count - ranges.singles;
  if (several > 0) {
    // each range may end with a block that is not full
    const int64_t items = (ranges.rows - ranges.singles) * launch.group;
    attention_prefill(context, launch, args.cache->type, items / kPrefillItems + several);
  }
  if (ranges.singles > 0) attention_decode(context, launch, args.cache->type, most_splits(args));
}

}  // namespace llmpq::cuda
