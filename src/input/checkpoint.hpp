// A Hugging Face model directory: config.json, one or many .safetensors, and where each of the
// layer's tensors stands in them. A rank touches only the bytes of its own layers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "input/model_config.hpp"
#include "input/read_ahead.hpp"
#include "kernels/tensor.hpp"

namespace llmpq {

/// The tensors of a model by what they are, not by what a family calls them. Layer-wise ones take
/// the layer's index; matrices are [outputs, inputs].
enum class TensorRole : uint8_t {
  kEmbedding,          // [vocab, embedding_columns]
  kPositionEmbedding,  // [max_positions + position_offset, hidden]
  kEmbeddingNorm,
  kEmbeddingNormBias,  // [hidden]
  kFinalNorm,
  kFinalNormBias,  // [hidden]
  kHead,           // [vocab, embedding_columns]; the embedding's if tied
  kInputNorm,
  kInputNormBias,  // [hidden], before attention; see NormPlace
  kQ,
  kK,
  kV,  // [heads * head_dim, hidden], [kv_heads * head_dim, hidden]
  kQBias,
  kKBias,
  kVBias,
  kOut,
  kOutBias,  // [hidden, heads * head_dim], [hidden]
  kPostNorm,
  kPostNormBias,  // [hidden], before the feed-forward part; see NormPlace
  kGate,
  kUp,
  kDown,  // [ffn, hidden], [ffn, hidden], [hidden, ffn]; rows of all experts one after the other
  kGateBias,
  kUpBias,
  kDownBias,  // [ffn], [ffn], [hidden]
  kQNorm,
  kKNorm,  // [head_dim]
  kAttentionNorm,
  kFeedForwardNorm,  // [hidden], of what the two parts give (NormPlace::kBoth)
  kProjectIn,
  kProjectOut,  // [hidden, projected_width], [projected_width, hidden]
  kRouter,      // [experts, hidden]
};

/// Source of weights. Two kinds: files of a checkpoint, or deterministic random values of the right
/// shapes (--load-format dummy). Reading is thread-safe.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;
  virtual const ModelConfig& config() const = 0;
  /// Rows [begin, begin + rows) of a tensor as f32, row-major; a vector has one column. What stands
  /// once in a model has layer 0. Error(kModel) if the model has no such tensor.
  virtual void read_rows(TensorRole role, int64_t layer, int64_t begin, int64_t rows,
                         std::span<float> values) const = 0;
  /// Where the same rows lie as they are stored, which is memory of a file that is read as it is
  /// touched; none if read_rows() does more than widen them. They hold as long as this object.
  virtual std::optional<RowsInMemory> rows_in_memory(TensorRole /*role*/, int64_t /*layer*/,
                                                     int64_t /*begin*/, int64_t /*rows*/) const {
    return std::nullopt;
  }
  /// Error(kModel) if memory that rows_in_memory() told of could not be read from its file when it
  /// was used: to be asked after that. (The others ask themselves.)
  virtual void check_read() const {}
  /// Begins to read from the disk what a stage of these layers loads, while the result lives: its
  /// steps are the embedding if layer 0 is among them, each layer, and the head if the last one is.
  /// Null where there are no files.
  virtual std::unique_ptr<ReadAhead> read_ahead(int64_t /*layer_begin*/,
                                                int64_t /*layer_end*/) const {
    return nullptr;
  }
  /// A whole vector (norm weight, bias) as f32, by read_rows.
  virtual std::vector<float> read_vector(TensorRole role, int64_t layer) const;
  /// How the layers' matrices stand there if as integers, which read_rows() gives as the numbers
  /// that they stand for; null if not.
  virtual const StoredWeights* stored() const { return nullptr; }
  /// Scales of rows of a layer's matrix, [rows, groups of kGroup inputs], of a checkpoint of
  /// integers that format_of(*stored()) holds as they are. Error(kModel) if it does not hold these.
  virtual void read_scales(TensorRole role, int64_t layer, int64_t begin, int64_t rows,
                           std::span<float> scales) const;
  /// Hash of config and safetensors headers, plus sizes: what resume compares, and the tokenizer.
  virtual uint64_t content_hash() const = 0;
};

/// Checks every header, and that each tensor of the model is there with its shape and type, before
/// anything else is done: missing, overlapping, truncated: Error(kModel), exit 4.
std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& folder);

/// Random weights, a function of (role, layer, row) alone; needs config.json only.
std::unique_ptr<Checkpoint> make_dummy_checkpoint(const ModelConfig& config);

}  // namespace llmpq
