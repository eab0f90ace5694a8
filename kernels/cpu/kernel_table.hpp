// What an instruction set brings: the inner part of each operation, for a range of its independent
// items. The drivers in ops_*.cpp spread the items over threads; nothing here knows of threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/lines_ahead.hpp"
#include "kernels/ops.hpp"

namespace llmpq {

/// Outputs that share a panel of the matrix product: two tiles of 16.
inline constexpr int64_t kPanel = 32;
/// Rows of x that one item of the matrix product takes through a panel: at most, and a multiple of
/// which each but the last item has.
inline constexpr int64_t kRowChunk = 96, kRowStep = 12;
/// The same where products are of tiles: half the decoding and half the reading of weights, while
/// the sums stay in L1.
inline constexpr int64_t kTileRowChunk = 192, kTileRowStep = 32;
/// Rows of one sequence that share a decoded block of the KV cache: as many as keep what one head's
/// attention needs of them in the caches.
constexpr int64_t attention_rows(int64_t heads_per_kv_head) {
  return heads_per_kv_head >= 8 ? 8 : heads_per_kv_head >= 3 ? 16 : 32;
}
/// Of a product of doubles: what is in registers.
inline constexpr int64_t kDenseTileRows = 4, kDenseTileColumns = 16;

/// Rows rounded to int8, group by group: the rows of a group are neighbours in the caches, and AMX
/// loads 16 of them as a tile.
struct Int8Rows {
  int64_t rows;    ///< as they lie here, padded_rows(tokens); those past the tokens hold anything
  int8_t* values;  ///< [groups, rows, kGroup]; inputs past k are 0
  float* scale;    ///< [groups, rows]
  int32_t* shift;  ///< [groups, rows]: bias * the sum of a row's integers
  int32_t bias;    ///< of the weights that they will meet (weight_bias())
};

/// Rows rounded to bf16 for a tile unit or for products of pairs, group by group as in Int8Rows.
struct Bf16Rows {
  int64_t rows;      ///< as they lie here, padded_rows(tokens); those past the tokens hold anything
  uint16_t* values;  ///< [groups, rows, kGroup]; inputs past k are 0
};

/// Rows below which no tile is used: a step of few rows waits for its weights anyway.
inline constexpr int64_t kFewestTileRows = 8;
/// Rows that tokens take up in Int8Rows and Bf16Rows: whole tiles where tiles may be used.
constexpr int64_t padded_rows(int64_t tokens) {
  return tokens < kFewestTileRows ? tokens : (tokens + 15) / 16 * 16;
}

/// How a matrix product is cut: item i is panel i % panels for rows [r, r + rows), r = i / panels *
/// rows, as far as they exist.
struct MatmulCut {
  int64_t panels, rows;
};

/// A matrix product with its inputs as the kernels want them.
struct MatmulTask {
  Format format;
  int64_t n, k, tokens;
  const uint8_t* packed;
  int64_t tile_bytes, group_bytes;  ///< of a tile of 16 outputs; of a full group in it
  const float* x;                   ///< float product: [tokens, k], `x_stride` floats apart
  int64_t x_stride;
  Int8Rows x_int8;    ///< integer product
  Bf16Rows x_bf16;    ///< bf16 product on tiles or of pairs
  const float* bias;  ///< [n] or nullptr
  float* y;
  int64_t y_stride;
};

/// One item of attention: `rows` consecutive rows of a sequence, and one KV head.
struct AttentionItem {
  int32_t row;       ///< first row in the step
  int32_t rows;      ///< 1 to attention_rows()
  int32_t position;  ///< of the first row
  int32_t table;     ///< where the sequence's block table starts
  int32_t kv_head;
};

/// Of two rows of logits a and b, each below its largest: the sums of e^a, e^b and e^a (a - b).
struct DivergenceSums {
  double weight = 0, other_weight = 0, difference = 0;
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
  /// `scratch`: attention_scratch_floats() floats, 64-byte aligned. Asks for lines of `ahead` on
  /// the way.
  void (*attention)(const AttentionArgs&, const AttentionItem&, float* scratch, LinesAhead& ahead);
  /// Items of a cut of at most kRowChunk rows.
  void (*matmul_float)(const MatmulTask&, const MatmulCut&, int64_t begin, int64_t end);
  /// The same for bf16 weights and inputs that are bf16 numbers, in the order of matmul_bf16.hpp.
  void (*matmul_bf16)(const MatmulTask&, const MatmulCut&, int64_t begin, int64_t end);
  /// The same product on tiles, for kFewestTileRows rows and more, in items of a cut of at most
  /// kTileRowChunk rows. Null where no tiles multiply bf16 numbers in that order.
  void (*matmul_bf16_tiles)(const MatmulTask&, const MatmulCut&, int64_t begin, int64_t end);
  /// The same product of rows from round_row_to_pairs, any number of them, in items of a cut of at
  /// most kRowChunk rows. Null where no instruction multiplies pairs in that order.
  void (*matmul_bf16_pairs)(const MatmulTask&, const MatmulCut&, int64_t begin, int64_t end);
  /// Items of a cut of at most int8_row_chunk rows, a multiple of int8_row_step if there are more.
  void (*matmul_int8)(const MatmulTask&, const MatmulCut&, int64_t begin, int64_t end);
  int64_t int8_row_chunk, int8_row_step;
  /// One row of activations [k] to row `row` of `to`.
  void (*quantize_row)(const float* x, int64_t k, const Int8Rows& to, int64_t row);
  /// One row of activations [k], rounded, to row `row` of `to`.
  void (*round_row_to_bf16)(const float* x, int64_t k, const Bf16Rows& to, int64_t row);
  /// The same in the order of inputs that matmul_bf16_pairs wants; null without it.
  void (*round_row_to_pairs)(const float* x, int64_t k, const Bf16Rows& to, int64_t row);
  /// What quantize_row kept, as floats again: q * scale.
  void (*dequantize_row)(const Int8Rows& from, int64_t k, int64_t row, float* to);
  /// Rounds 16 rows of weights [16, k] into their tile, and asks the memory for the 16 rows behind
  /// them; false if an integer format meets a value that is not finite, and the tile is not
  /// complete then.
  bool (*pack_tile)(Format format, int64_t k, const RowsInMemory& rows, uint8_t* tile);
  /// The same with the scales given: values [16, k], scales [16, groups], as pack_scaled_row().
  void (*pack_scaled_tile)(Format format, int64_t k, const float* values, const float* scales,
                           uint8_t* tile);
  /// `count` numbers of a file, f32, bf16 or f16, as f32. `from` may be at any address.
  void (*widen)(DType type, const std::byte* from, int64_t count, float* to);
  /// tile [kDenseTileRows, kDenseTileColumns] += a b, one after the other: a [depth,
  /// kDenseTileRows], b [depth, kDenseTileColumns], nowhere fused.
  void (*add_dense_tile)(const double* a, const double* b, int64_t depth, double* tile);
  void (*round_to_bf16)(const float* x, int64_t count, float* to);
  void (*round_to_f16)(const float* x, int64_t count, float* to);
  /// The largest of `count` numbers, none of them NaN; -infinity if there are none.
  float (*largest)(const float* values, int64_t count);
  /// Logits that are not finite become kNever.
  void (*drop_nonfinite)(float* logits, int64_t count);
  /// Sums over logits a and b [count] with their largest; not finite if one of the logits is not.
  DivergenceSums (*divergence)(const float* a, float a_max, const float* b, float b_max,
                               int64_t count);
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
/// kernels_avx512() with products of bf16 pairs.
const KernelTable& kernels_avx512_bf16();
/// kernels_avx512() with integer products of many rows on tiles.
const KernelTable& kernels_amx();
/// And bf16 products too.
const KernelTable& kernels_amx_bf16();
/// The kind of numbers whose products by AMX differ from those of matmul_bf16.hpp, of which no bit
/// may; nullptr if there is none. For a CPU with amx_bf16.
const char* bf16_difference_of_amx();
/// The same of products of pairs, for a CPU with avx512_bf16.
const char* bf16_difference_of_avx512();
/// The table of an instruction set. Error(kInternal) if nothing was compiled for it.
const KernelTable& kernels(Isa isa);
/// The table of the best instruction set here: for the host's work beside a backend's operations.
const KernelTable& best_kernels();

}  // namespace llmpq
