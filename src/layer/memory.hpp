// How many bytes a stage allocates. The only place with these formulas: the planner counts with
// them, the stage allocates by them, a test compares both.
#pragma once

#include <cstdint>

#include "input/model_config.hpp"
#include "kernels/backend.hpp"

namespace llmpq {

/// What a stage's run-time buffers depend on besides the model.
struct Sizes {
  int64_t max_rows =
      0;  ///< token rows of the largest step (prefill_tokens, decode_batch, or their sum if mixed)
  int64_t max_samples = 0;    ///< rows of a step that choose a token
  int64_t max_model_len = 0;  ///< tokens of the longest sequence
  int64_t kv_block_tokens = 16;
  DType kv_type = DType::kBf16;
};

int64_t layer_bytes(const ModelConfig& config, Format format, const Backend& backend);
int64_t embedding_bytes(const ModelConfig& config);
int64_t head_bytes(const ModelConfig& config, Format format, const Backend& backend);
/// One KV block of one layer.
int64_t kv_block_bytes(const ModelConfig& config, const Sizes& sizes);
/// Activations and tables of a stage, by whether it has the embedding and the head.
int64_t workspace_bytes(const ModelConfig& config, const Sizes& sizes, bool first, bool last);

}  // namespace llmpq
