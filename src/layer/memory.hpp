// How many bytes a stage allocates. The only place with these formulas: the planner counts with
// them, the stage allocates by them, a test compares both.
#pragma once

#include <cstdint>
#include <span>

#include "input/model_config.hpp"
#include "kernels/backend.hpp"

namespace llmpq {

/// What a stage's run-time buffers depend on besides the model.
struct Sizes {
  /// Token rows of the largest step: prefill_tokens, decode_batch, or their sum if mixed.
  int64_t max_rows = 0;
  int64_t max_samples = 0;    ///< rows of a step that choose a token
  int64_t max_model_len = 0;  ///< tokens of the longest sequence
  int64_t kv_block_tokens = 16;
  DType kv_type = DType::kBf16;
};

/// The 16-bit format that stands for "unquantized" with this checkpoint: bf16 for a float32 one.
Format format_16bit(const ModelConfig& config);
/// The same for devices that share a job: f16 in place of bf16 where one of them would convert bf16
/// weights at every use. `compute_capabilities`: of GPUs; 0 for what is none.
Format format_16bit(const ModelConfig& config, std::span<const int> compute_capabilities);

/// Weights, as load_layer, load_embedding and load_head allocate them.
int64_t layer_bytes(const ModelConfig& config, Format format, BackendKind backend);
/// One expert of a layer, or its only feed-forward part: within layer_bytes.
int64_t expert_bytes(const ModelConfig& config, Format format, BackendKind backend);
int64_t embedding_bytes(const ModelConfig& config, BackendKind backend);
int64_t head_bytes(const ModelConfig& config, Format format, BackendKind backend);
/// One KV block of one layer.
int64_t kv_block_bytes(const ModelConfig& config, const Sizes& sizes);
/// A stage's entry for one KV block in the block tables of a step (RowsOnDevice).
inline constexpr int64_t kTableEntryBytes = 4;
/// Activations and tables of a stage, by whether it has the embedding and the head.
int64_t workspace_bytes(const ModelConfig& config, const Sizes& sizes, bool first, bool last);
/// The rows of a step on the device, their block tables left out: 4 lists of 4-byte numbers.
int64_t rows_bytes(const Sizes& sizes);
/// What the last stage keeps to choose tokens: requests and choices (layer/chooser.hpp).
int64_t chooser_bytes(const ModelConfig& config, const Sizes& sizes);
/// What the operations of a stage take besides: scratch memory of its Context.
ScratchNeeds scratch_needs(const ModelConfig& config, const Sizes& sizes, bool last);

/// The parts of a workspace in floats, in the order in which they lie in its one allocation; each
/// starts at a multiple of 64 bytes. Workspace (forward.hpp) tells what they are.
struct WorkspaceParts {
  int64_t hidden, normed, qkv, attended, projected, up;
  int64_t gated;     ///< 0 unless the model is gated: else `up` is activated in place
  int64_t gathered;  ///< this and the next two: 0 without experts
  int64_t router, routes;
  int64_t cosine, sine;    ///< 0 without rope
  int64_t alibi;           ///< 0 without alibi
  int64_t last_hidden;     ///< this and the next: 0 unless the stage has the head
  int64_t projected_last;  ///< 0 unless the head has columns of its own
  int64_t logits;
};
WorkspaceParts workspace_parts(const ModelConfig& config, const Sizes& sizes, bool last);

/// Bytes of a part, padded up to where the next one may start.
constexpr int64_t part_bytes(int64_t floats) { return (floats * 4 + 63) / 64 * 64; }

}  // namespace llmpq
