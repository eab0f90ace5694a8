// What an instruction set brings: the inner part of each operation, for a range of its independent
// items. The drivers in ops_*.cpp spread the items over threads; nothing here knows of threads.
#pragma once

#include <cstdint>

#include "kernels/cpu/isa.hpp"
#include "kernels/ops.hpp"

namespace llmpq {

/// Outputs that share a panel of the matrix product: two tiles of 16.
inline constexpr int64_t kPanel = 32;
/// Rows of x that one item of the matrix product takes through a panel.
inline constexpr int64_t kRowChunk = 96;
/// Rows of one sequence that share a decoded block of the KV cache.
inline constexpr int64_t kAttentionRows = 8;

/// A matrix product with its inputs as the kernels want them.
struct MatmulTask {
  Format format;
  int64_t n, k, tokens;
  const uint8_t* packed;
  int64_t tile_bytes, group_bytes;  ///< of a tile of 16 outputs; of a full group in it
  const float* x;                   ///< float product: [tokens, k], `x_stride` floats apart
  int64_t x_stride;
  const int8_t* x_int8;  ///< integer product: [tokens, x_stride], rows padded by zeros
  const float* x_scale;  ///< [tokens, groups]
  const int32_t* x_sum;  ///< [tokens, groups]: the sum of each group's integers
  const float* bias;     ///< [n] or nullptr
  float* y;
  int64_t y_stride;
};

/// One item of attention: `rows` consecutive rows of a sequence, and one KV head.
struct AttentionItem {
  int32_t row;       ///< first row in the step
  int32_t rows;      ///< 1 to kAttentionRows
  int32_t position;  ///< of the first row
  int32_t table;     ///< where the sequence's block table starts
  int32_t kv_head;
};

struct KernelTable {
  void (*embed)(const EmbedArgs&, int64_t begin, int64_t end);                        ///< tokens
  void (*norm)(const NormArgs&, int64_t begin, int64_t end);                          ///< tokens
  void (*head_norm)(const HeadNormArgs&, int64_t begin, int64_t end);                 ///< tokens
  void (*add)(const AddArgs&, int64_t begin, int64_t end);                            ///< elements
  void (*rope)(const RopeArgs&, int64_t begin, int64_t end);                          ///< tokens
  void (*activation)(const ActivationArgs&, int64_t begin, int64_t end);              ///< tokens
  void (*gather_rows)(const GatherRowsArgs&, int64_t begin, int64_t end);             ///< rows
  void (*add_rows)(const AddRowsArgs&, int64_t begin, int64_t end);                   ///< rows
  void (*kv_write)(const KvWriteArgs&, const RowRange&, int64_t begin, int64_t end);  ///< rows
  /// `scratch`: attention_scratch_floats() floats, 64-byte aligned.
  void (*attention)(const AttentionArgs&, const AttentionItem&, float* scratch);
  /// Panel `panel` of 32 outputs for rows [begin, end), at most kRowChunk of them.
  void (*matmul_float)(const MatmulTask&, int64_t panel, int64_t begin, int64_t end);
  void (*matmul_int8)(const MatmulTask&, int64_t panel, int64_t begin, int64_t end);
  /// One row of activations to int8, per group of kGroup; `to` has whole groups, zero padded.
  void (*quantize_row)(const float* x, int64_t k, int8_t* to, float* scale, int32_t* sum);
  /// What quantize_row kept, as floats again: q * scale.
  void (*dequantize_row)(const int8_t* x, int64_t k, const float* scale, float* to);
  /// Rounds 16 rows of weights [16, k] into their tile; false if an integer format meets a value
  /// that is not finite, and the tile is not complete then.
  bool (*pack_tile)(Format format, int64_t k, const float* values, uint8_t* tile);
  void (*round_to_bf16)(const float* x, int64_t count, float* to);
  void (*round_to_f16)(const float* x, int64_t count, float* to);
  /// Element-wise functions, for the tests' use.
  void (*exp)(const float* x, int64_t count, float* y);
  void (*tanh)(const float* x, int64_t count, float* y);
  void (*erf)(const float* x, int64_t count, float* y);
};

/// Floats of scratch memory that one call of KernelTable::attention needs.
int64_t attention_scratch_floats(const AttentionArgs& args);

const KernelTable& kernels_plain();
const KernelTable& kernels_avx2();
const KernelTable& kernels_avx512();
/// The table of an instruction set (amx: avx512's).
const KernelTable& kernels(Isa isa);

}  // namespace llmpq
