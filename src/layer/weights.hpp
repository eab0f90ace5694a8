// The weights that a stage holds: of its decoder layers, and of the embedding and head if it is the
// first or the last one. Made from a checkpoint, quantized on the way, one matrix strip at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "input/checkpoint.hpp"
#include "kernels/backend.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "layer/memory.hpp"
#include "layer/observer.hpp"

namespace llmpq {

/// Both empty where the model has no such norm.
struct Norm {
  Buffer weight;  ///< f32 [hidden], the config's norm_weight_offset added
  Buffer bias;    ///< f32 [hidden] or empty
};

/// A matrix [n, k] with its bias [n] (f32, may be empty).
struct Linear {
  Matrix matrix;
  Buffer bias;
};

/// A feed-forward part.
struct Expert {
  Linear up;    ///< [2 ffn or ffn, hidden]: gate rows, then up rows
  Linear down;  ///< [hidden, ffn]
};

struct LayerWeights {
  Norm input_norm;      ///< before attention (after it with NormPlace::kAfter)
  Linear qkv;           ///< [(heads + 2 kv_heads) * head_dim, hidden]: q rows, then k, then v
  Norm q_norm, k_norm;  ///< [head_dim]
  Linear out;           ///< [hidden, heads * head_dim]
  Norm attention_norm;  ///< after attention, before its result is added
  Norm post_norm;       ///< before the feed-forward part (after it with NormPlace::kAfter)
  Linear up;            ///< [2 ffn or ffn, hidden]: gate rows, then up rows
  Linear down;          ///< [hidden, ffn]
  Linear router;        ///< [experts, hidden], 16 bit; these two instead of up and down
  std::vector<Expert> experts;
  Norm feed_forward_norm;  ///< after the feed-forward part, before its result is added
};

struct EmbeddingWeights {
  DType type;        ///< kBf16 or kF16, the checkpoint's own (bf16 for a float32 one)
  Buffer table;      ///< [vocab, embedding_columns]
  Buffer positions;  ///< [max_positions + offset, hidden] or empty
  Norm norm;         ///< empty unless the model has one here
  Linear project;    ///< [hidden, projected_width], 16 bit, or empty
};

struct HeadWeights {
  Norm norm;       ///< the final norm
  Linear project;  ///< [projected_width, hidden], 16 bit, or empty
  Linear matrix;   ///< [vocab, embedding_columns]
};

/// Bytes on the device.
int64_t weight_bytes(const LayerWeights& weights);
int64_t weight_bytes(const EmbeddingWeights& weights);
int64_t weight_bytes(const HeadWeights& weights);

/// Bytes of f32 values read at a time.
inline constexpr int64_t kStripBytes = 1 << 20;

/// Whether a format holds the integers of a checkpoint as they are; then nothing is rounded.
bool is_as_stored(const Checkpoint& checkpoint, Format format);

/// Rounds one layer's matrices to `format` while reading. Host memory beyond the result: see
/// Backend::pack_from(). Same bits whatever the strips or threads. Error(kModel) if the
/// checkpoint cannot give a tensor, or an integer format meets a value that is not finite.
LayerWeights load_layer(const Checkpoint& checkpoint, int64_t layer, Format format,
                        Backend& backend, Context& context, int64_t strip_bytes = kStripBytes);

/// The matrix of one of a layer's products; with experts kUp and kDown are `expert`'s.
struct ProductOf {
  const Checkpoint& checkpoint;
  int64_t layer;
  Product product;
  int64_t expert = 0;
};
Matrix& matrix_of(LayerWeights& weights, Product product, int64_t expert = 0);
/// Reads it and rounds to nearest, as load_layer() does.
Matrix load_product(const ProductOf& of, Format format, Backend& backend, Context& context);
/// Chooses the integers of rows of a matrix: `values` [rows, k] are its weights, and become
/// integers times scales; `scales` [rows, groups]. Called by several threads at once.
using RowRounder =
    std::function<void(int64_t rows, std::span<float> values, std::span<float> scales)>;
/// Reads it and packs what `rounding.round` makes of it, some rows for each thread at a time.
/// Integer formats only. Throws as load_layer(), and what `round` throws.
struct Rounding {
  Format format;
  RowRounder round;
  ThreadPool& pool;
};
Matrix load_product(const ProductOf& of, const Rounding& rounding, Backend& backend,
                    Context& context);

EmbeddingWeights load_embedding(const Checkpoint& checkpoint, Backend& backend, Context& context,
                                int64_t strip_bytes = kStripBytes);
/// `format`: the model's 16-bit format, or w8. A tied head is packed again from the embedding.
HeadWeights load_head(const Checkpoint& checkpoint, Format format, Backend& backend,
                      Context& context, int64_t strip_bytes = kStripBytes);
/// The same without the matrix, which is left empty: what stands in front of it.
HeadWeights load_head_front(const Checkpoint& checkpoint, Backend& backend, Context& context);
/// The matrix as load_product() does it.
Matrix load_head_matrix(const Checkpoint& checkpoint, const Rounding& rounding, Backend& backend,
                        Context& context);

}  // namespace llmpq
