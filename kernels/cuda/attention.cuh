// The three attention kernels as attention.cu launches them: plain (any shape), prefill and decode
// (tensor cores). What they read is one flat struct that goes to the device as a launch argument.
#pragma once

#include <cstdint>

#include "kernels/cuda/context.cuh"

namespace llmpq::cuda {

/// AttentionArgs with its cache and derived numbers. Sizes that index within a step fit an int.
struct AttentionLaunch {
  const float* q;
  int64_t q_stride;
  float* y;
  RoundedRows rounded;
  const RowRange* list;
  const int32_t* block_table;
  int ranges, singles;
  const void *k, *v;
  const float *k_scale, *v_scale;
  int heads, kv_heads, group, head_dim, block_tokens;
  int block_shift;  ///< log2 of block_tokens; tensor cores only
  int window;       ///< 0 = all
  float scale;
  float soft_cap;       ///< 0 = off; the plain kernel only
  const float* slopes;  ///< alibi, or nullptr
};

/// First key that a row at `position` sees.
__device__ inline int first_key(const AttentionLaunch& args, int position) {
  return args.window > 0 && position >= args.window ? position - args.window + 1 : 0;
}

inline constexpr int kPrefillItems = 64;  ///< (row, head) pairs of one kv head that a block takes

/// Every row of the ranges; any head_dim, block_tokens and cache type.
void attention_plain(StreamContext&, const AttentionLaunch&, DType type, int64_t rows);
/// Rows of ranges with more than one row. `blocks` is an upper bound per kv head.
void attention_prefill(StreamContext&, const AttentionLaunch&, DType type, int64_t blocks);
/// Rows that are alone in their range. `splits`: pieces of kSplitTokens keys that one may see.
void attention_decode(StreamContext&, const AttentionLaunch&, DType type, int64_t splits);

/// Whether this device runs code with tensor cores: the build may have none for its architecture.
bool compiled_for_tensor_cores();

}  // namespace llmpq::cuda
