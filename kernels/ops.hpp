// Every operation a backend has, one function pointer each, with formula and shapes. The CPU and
// the CUDA table are twins: one test body compares them. All activations are row-major f32. Every
// pointer that an argument struct holds belongs to the backend's memory, but for `cache` and `w`.
// Rule of every op: one output element is reduced in one fixed order, whatever the number of rows,
// threads or the instruction set; where CUDA differs, kernels/README.md says so.
#pragma once

#include <cstdint>

#include "kernels/tensor.hpp"

namespace llmpq {

class Context;  // threads (CPU) or stream (CUDA) that an operation runs on

/// y[t, :] = scale * table[ids[t], :] (+ positions[position[t] + position_offset, :])
struct EmbedArgs {
  const int32_t* ids;       ///< [tokens]
  const int32_t* position;  ///< [tokens]; read only if positions is given
  const void* table;        ///< [vocab, hidden] of `type`
  const void* positions;    ///< [max_positions, hidden] of `type`, or nullptr
  DType type;               ///< kBf16, kF16 or kF32
  int64_t position_offset;  ///< OPT: 2
  int64_t tokens, hidden;
  float* y;            ///< [tokens, hidden]
  float scale = 1.0f;  ///< Gemma: sqrt(hidden)
};

/// Rows that matrix products alone read, rounded to what these multiply by the operation that makes
/// them, instead of f32 rows. What a product takes so, Ops::input_type() says: no CPU's does.
struct RoundedRows {
  DType type = DType::kF32;  ///< kBf16 or kF16; kF32: none are wanted, or there
  void* rows = nullptr;      ///< [tokens, width], contiguous, at a multiple of 16 bytes
};

/// x[t, :] += add[t, :] if add is given; then y[t, :] = norm(x[t, :]) * weight (+ bias).
/// RMS: x / sqrt(mean(x^2) + eps). Layer norm: (x - mean) / sqrt(var + eps), var biased.
struct NormArgs {
  enum class Kind : uint8_t { kRms, kLayer };
  Kind kind;
  float* x;             ///< [tokens, hidden], the residual stream; changed if add is given
  const float* add;     ///< [tokens, hidden] or nullptr
  const float* weight;  ///< [hidden]
  const float* bias;    ///< [hidden] or nullptr
  float eps;
  int64_t tokens, hidden;
  float* y;                  ///< [tokens, hidden]; may be x
  RoundedRows rounded = {};  ///< y goes there instead if there are such; they may not be x
};

/// RMS norm of each head by itself, in place: x[t, h, :] / sqrt(mean(x[t, h, :]^2) + eps) * weight.
struct HeadNormArgs {
  float* x;  ///< [tokens, heads, head_dim] with `stride` floats from token to token
  int64_t stride;
  const float* weight;  ///< [head_dim]
  float eps;
  int64_t tokens, heads, head_dim;
};

/// x[i] += add[i] for count elements.
struct AddArgs {
  float* x;
  const float* add;
  int64_t count;
};

/// Rotates pairs (i, i + rotary/2) of each head's first `rotary` elements, in place:
/// (a, b) -> (a cos - b sin, b cos + a sin) with the row `position[t]` of the tables.
struct RopeArgs {
  float* x;  ///< [tokens, heads, head_dim] with `stride` floats from token to token
  int64_t stride;
  const int32_t* position;     ///< [tokens]
  const float *cosine, *sine;  ///< [max_positions, rotary / 2]
  int64_t tokens, heads, head_dim, rotary;
};

/// How the inputs of a matrix product are rounded before it (--activation-dtype).
enum class ActivationType : uint8_t { kF32, kBf16, kF16, kInt8 };

/// y[t, n] = sum_k x[t, k] w[n, k] (+ bias[n]).
/// kF32: w is dequantized exactly, one fma chain along k. kInt8: x is rounded to int8 with one
/// scale per token and group of 128 (absmax / 127, ties to even); per group an exact integer dot
/// product; acc = fma(float(dot), x_scale * w_scale, acc) for the groups in order; with 16-bit
/// weights x is rounded the same way and used as q * scale in f32. kBf16, kF16: x is rounded to
/// that type, then as kF32. The bias is added last. A row of x that is not finite gives outputs
/// that are not.
struct LinearArgs {
  const float* x;  ///< [tokens, k]; not read if `rounded` is given
  const Matrix* w;
  const float* bias;  ///< [n] or nullptr
  ActivationType activation;
  int64_t tokens;
  float* y;  ///< [tokens, n] with `y_stride` floats from token to token
  int64_t y_stride;
  RoundedRows rounded = {};  ///< x as input_type() wants it, or none
};

/// Gated: y[t, i] = act(x[t, i]) * x[t, width + i]; else y[t, i] = act(x[t, i]).
/// kSoftCap: cap * tanh(x / cap).
struct ActivationArgs {
  enum class Kind : uint8_t { kSilu, kRelu, kGeluErf, kGeluTanh, kSoftCap };
  Kind kind;
  bool gated;
  const float* x;  ///< [tokens, width] or [tokens, 2 * width] if gated (gate first, then up)
  int64_t tokens, width;
  float* y;                  ///< [tokens, width]; may be x if not gated
  float cap = 0.0f;          ///< kSoftCap only
  RoundedRows rounded = {};  ///< y goes there instead if there are such; they may not be x
};

/// Where one layer's K and V lie: blocks of `block_tokens` tokens, shared by all its heads.
/// K: [blocks, kv_heads, block_tokens, head_dim] of `type`, V likewise. int8: k_scale, v_scale
/// [blocks, kv_heads, block_tokens] floats (absmax / 127 per token and head).
struct KvCache {
  DType type;  ///< kF32, kBf16, kF16 or kInt8
  int64_t blocks, block_tokens, kv_heads, head_dim;
  void *k, *v;
  float *k_scale, *v_scale;  ///< nullptr unless int8
};

/// Consecutive token rows of one sequence within a step.
struct RowRange {
  int32_t begin;  ///< first row in the step
  int32_t rows;
  int32_t position;  ///< of the first row in its sequence
  int32_t table;     ///< where its block table starts in RangeList::block_table
};

/// The ranges of a step. The lists lie in the backend's memory; the numbers besides are what a
/// launch has to know of them, and may be upper bounds, `singles` excepted.
struct RangeList {
  const RowRange* list;        ///< [count]
  const int32_t* block_table;  ///< block ids of all ranges, one table after the other
  int64_t count;
  int64_t rows;         ///< of all ranges together
  int64_t most_rows;    ///< of one range
  int64_t most_tokens;  ///< the longest context: position + rows of a range
  int64_t singles;      ///< ranges of exactly one row
};

/// Rounds k and v to the cache's type and stores them at their sequence's position.
struct KvWriteArgs {
  const float *k, *v;  ///< [tokens, kv_heads, head_dim] with `stride` floats from token to token
  int64_t stride;
  RangeList ranges;
  const KvCache* cache;
};

/// Causal attention of each row over positions 0..p of its own sequence, read from the cache only:
/// s_j = scale * q.k_j, soft cap: cap * tanh(s_j / cap); alibi: + slope_h * (j - p); window: only
/// j > p - window; y = softmax(s) . v.
/// Keys are reduced in blocks of block_tokens counted from position 0 with an online softmax, in
/// one order shared by prefill and decode. Head h reads kv head h / (heads / kv_heads).
struct AttentionArgs {
  const float* q;  ///< [tokens, heads, head_dim] with `q_stride` floats from token to token
  int64_t q_stride;
  RangeList ranges;
  const KvCache* cache;
  int64_t heads;
  float scale;
  int64_t window;             ///< 0 = all
  const float* alibi_slopes;  ///< [heads] or nullptr
  float* y;                   ///< [tokens, heads, head_dim], contiguous
  float soft_cap = 0.0f;      ///< 0 = off
  RoundedRows rounded = {};   ///< y goes there instead if there are such
};

/// Row t of y = row index[t] of x; both [., width].
struct GatherRowsArgs {
  const float* x;
  const int32_t* index;
  int64_t rows, width;
  float* y;
};

/// Mixture of experts: the `chosen` experts of each row, those with the largest logits (ties: the
/// lower index), and their weights: softmax over all experts, scaled to a sum of 1 if `normalized`.
struct RouteArgs {
  const float* logits;  ///< [rows, experts]
  int64_t rows, experts, chosen;
  bool normalized;
  int32_t* expert;      ///< [rows, chosen], ascending in each row
  float* row_weight;    ///< [rows, chosen], of these
  int32_t* row;         ///< [rows * chosen] the same sorted by expert: which rows, ascending
  float* weight;        ///< [rows * chosen], of these
  int32_t* begin;       ///< [experts + 1]: entries of expert e are [begin[e], begin[e + 1])
  int32_t* host_begin;  ///< [experts + 1] in host memory; there when the call returns
};

/// x[index[i], :] += weight[i] * add[i, :], an fma each; no index stands twice.
struct AddRowsArgs {
  float* x;          ///< [., width]
  const float* add;  ///< [rows, width]
  const int32_t* index;
  const float* weight;
  int64_t rows, width;
};

/// How the next token of one row is chosen; the order of the steps is told in layer/README.md.
struct SampleRow {
  float temperature;                      ///< 0 = greedy
  float top_p;                            ///< 1 = off
  float min_p;                            ///< 0 = off
  int32_t top_k;                          ///< 0 = off
  float repetition, frequency, presence;  ///< penalties; 1, 0, 0 = off
  int32_t logprobs;                    ///< 0 none, 1 the chosen token's, K > 1 the K likeliest too
  uint64_t bits;                       ///< 64 random bits: the draw
  int32_t counted_begin, counted_end;  ///< its tokens in SampleArgs::counted
  int32_t masked_begin, masked_end;    ///< its tokens in SampleArgs::masked
};

/// A token of a sequence: how often its output has it (0: only the prompt does).
struct TokenCount {
  int32_t token, count;
};

/// Chooses one token for each row of logits. A logit that is not finite is never chosen. Sums of
/// probabilities are exact (integer masses, kernels/softmax.hpp), so every backend chooses the same
/// token from the same logits.
struct SampleArgs {
  float* logits;  ///< [rows, vocab]; overwritten
  int64_t rows, vocab;
  const SampleRow* sample;    ///< [rows]
  const TokenCount* counted;  ///< tokens that penalties count, row by row
  const int32_t* masked;  ///< tokens that may not come, row by row; left out if none would remain
  int64_t top;            ///< the most of SampleRow::logprobs if above 1, else 0
  int32_t* tokens;        ///< [rows]; -1 where no logit is finite
  float* logprobs;        ///< [rows], natural log of the raw distribution; 0 where not asked for
  int32_t* top_ids;       ///< [rows, top], likeliest first
  float* top_logprobs;    ///< [rows, top]
};

/// scores[r] = ln softmax(logits[r, :])[targets[r]]; NaN where no logit is finite.
struct ScoreArgs {
  const float* logits;     ///< [rows, vocab]
  const int32_t* targets;  ///< [rows], each within [0, vocab)
  int64_t rows, vocab;
  float* scores;  ///< [rows]
};

struct Ops {
  void (*embed)(Context&, const EmbedArgs&);
  void (*norm)(Context&, const NormArgs&);
  void (*head_norm)(Context&, const HeadNormArgs&);
  void (*add)(Context&, const AddArgs&);
  void (*rope)(Context&, const RopeArgs&);
  void (*linear)(Context&, const LinearArgs&);
  void (*activation)(Context&, const ActivationArgs&);
  void (*kv_write)(Context&, const KvWriteArgs&);
  void (*attention)(Context&, const AttentionArgs&);
  void (*gather_rows)(Context&, const GatherRowsArgs&);
  void (*add_rows)(Context&, const AddRowsArgs&);
  void (*route)(Context&, const RouteArgs&);
  void (*sample)(Context&, const SampleArgs&);
  void (*score)(Context&, const ScoreArgs&);
  /// The type as which linear() would take LinearArgs::rounded, and saves a pass over x by that;
  /// kF32 if it does not. The pointers to x and y are not looked at.
  DType (*input_type)(Context&, const LinearArgs&);
};

}  // namespace llmpq
