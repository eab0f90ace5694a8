// K and V of new tokens, rounded into the paged cache. Included after a lanes_*.hpp.
#pragma once

#include "kernels/convert.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/quantize.hpp"

namespace llmpq {
namespace {

/// Stores one token's head at element `at` (scale at `slot`) of a cache tensor.
LLMPQ_INLINE void store_head(const float* x, const KvCache& cache, void* tensor, float* scales,
                             int64_t slot) {
  const int64_t count = cache.head_dim;
  const int64_t at = slot * count;
  switch (cache.type) {
    case DType::kBf16:
      return f32_to_bf16(x, static_cast<uint16_t*>(tensor) + at, count);
    case DType::kF16:
      return f32_to_f16(x, static_cast<uint16_t*>(tensor) + at, count);
    case DType::kInt8: {
      const float scale = int8_scale(x, count);
      scales[slot] = scale;
      return round_to_int8(x, count, scale, static_cast<int8_t*>(tensor) + at);
    }
    default:
      __builtin_memcpy(static_cast<float*>(tensor) + at, x,
                       static_cast<size_t>(count) * sizeof(float));
  }
}

/// Rows [begin, end) of one range, counted from its first row.
void kv_write_kernel(const KvWriteArgs& args, const RowRange& range, int64_t begin, int64_t end) {
  const KvCache& cache = *args.cache;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t position = range.position + i;
    const int64_t block = args.ranges.block_table[range.table + position / cache.block_tokens];
    const int64_t within = position % cache.block_tokens;
    for (int64_t head = 0; head < cache.kv_heads; ++head) {
      const int64_t from = (range.begin + i) * args.stride + head * cache.head_dim;
      const int64_t slot = (block * cache.kv_heads + head) * cache.block_tokens + within;
      store_head(args.k + from, cache, cache.k, cache.k_scale, slot);
      store_head(args.v + from, cache, cache.v, cache.v_scale, slot);
    }
  }
}

}  // namespace
}  // namespace llmpq
