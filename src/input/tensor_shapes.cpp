#include "input/tensor_shapes.hpp"

#include <algorithm>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

std::optional<RoleShape> matrix(int64_t rows, int64_t columns, bool per_layer) {
  return RoleShape{rows, columns, false, per_layer, 1};
}

/// A matrix of the feed-forward part: one for each expert.
std::optional<RoleShape> expert_matrix(const ModelConfig& c, int64_t rows, int64_t columns) {
  const int64_t experts = std::max<int64_t>(1, c.experts);
  return RoleShape{experts * rows, columns, false, true, experts};
}

std::optional<RoleShape> vector_if(bool present, int64_t rows, bool per_layer) {
  if (!present) return std::nullopt;
  return RoleShape{rows, 1, true, per_layer, 1};
}

/// Tensors that stand once in a model: embeddings, head and the norms beside them.
std::optional<RoleShape> shape_outside(const ModelConfig& c, TensorRole role) {
  switch (role) {
    case TensorRole::kEmbedding:
    case TensorRole::kHead:
      return matrix(c.vocab, c.embedding_columns(), false);
    case TensorRole::kProjectIn:
      if (c.projected_width == 0) return std::nullopt;
      return matrix(c.hidden, c.projected_width, false);
    case TensorRole::kProjectOut:
      if (c.projected_width == 0) return std::nullopt;
      return matrix(c.projected_width, c.hidden, false);
    case TensorRole::kPositionEmbedding:
      if (c.position != PositionKind::kLearned) return std::nullopt;
      return matrix(c.max_positions + c.position_offset, c.hidden, false);
    case TensorRole::kEmbeddingNorm:
      return vector_if(c.embedding_norm, c.hidden, false);
    case TensorRole::kEmbeddingNormBias:
      return vector_if(c.embedding_norm && c.norm_bias, c.hidden, false);
    case TensorRole::kFinalNormBias:
      return vector_if(c.final_norm && c.norm_bias, c.hidden, false);
    default:  // kFinalNorm
      return vector_if(c.final_norm, c.hidden, false);
  }
}

}  // namespace

std::optional<RoleShape> shape_of(const ModelConfig& c, TensorRole role) {
  const int64_t q_rows = c.heads * c.head_dim;
  const int64_t kv_rows = c.kv_heads * c.head_dim;
  switch (role) {
    case TensorRole::kInputNorm:
      return vector_if(true, c.hidden, true);
    case TensorRole::kPostNorm:
      return vector_if(!c.shared_norm, c.hidden, true);
    case TensorRole::kInputNormBias:
      return vector_if(c.norm_bias, c.hidden, true);
    case TensorRole::kPostNormBias:
      return vector_if(c.norm_bias && !c.shared_norm, c.hidden, true);
    case TensorRole::kAttentionNorm:
    case TensorRole::kFeedForwardNorm:
      return vector_if(c.norm_place == NormPlace::kBoth, c.hidden, true);
    case TensorRole::kQNorm:
    case TensorRole::kKNorm:
      return vector_if(c.qk_norm, c.head_dim, true);
    case TensorRole::kQ:
      return matrix(q_rows, c.hidden, true);
    case TensorRole::kK:
    case TensorRole::kV:
      return matrix(kv_rows, c.hidden, true);
    case TensorRole::kQBias:
      return vector_if(c.qkv_bias, q_rows, true);
    case TensorRole::kKBias:
    case TensorRole::kVBias:
      return vector_if(c.qkv_bias, kv_rows, true);
    case TensorRole::kOut:
      return matrix(c.hidden, q_rows, true);
    case TensorRole::kOutBias:
      return vector_if(c.out_bias, c.hidden, true);
    case TensorRole::kGate:
      if (!c.gated) return std::nullopt;
      return expert_matrix(c, c.ffn, c.hidden);
    case TensorRole::kUp:
      return expert_matrix(c, c.ffn, c.hidden);
    case TensorRole::kDown:
      return expert_matrix(c, c.hidden, c.ffn);
    case TensorRole::kRouter:
      if (c.experts == 0) return std::nullopt;
      return matrix(c.experts, c.hidden, true);
    case TensorRole::kGateBias:
      return vector_if(c.gated && c.ffn_bias, c.ffn, true);
    case TensorRole::kUpBias:
      return vector_if(c.ffn_bias, c.ffn, true);
    case TensorRole::kDownBias:
      return vector_if(c.ffn_bias, c.hidden, true);
    default:
      return shape_outside(c, role);
  }
}

RoleShape check_rows(const ModelConfig& config, TensorRole role, int64_t layer, int64_t begin,
                     int64_t rows, int64_t values) {
  const auto shape = shape_of(config, role);
  CHECK(shape.has_value(), Exit::kModel, "{}: a {} model of this config has no such tensor",
        name(role), config.family);
  const int64_t layers = shape->per_layer ? config.layers : 1;
  CHECK(layer >= 0 && layer < layers, Exit::kInternal, "{}: layer {} of {} is asked for",
        name(role), layer, layers);
  CHECK(begin >= 0 && rows >= 0 && begin <= shape->rows && rows <= shape->rows - begin,
        Exit::kInternal, "{}: {} rows from {} on are asked for, it has {}", name(role), rows, begin,
        shape->rows);
  CHECK(values == rows * shape->columns, Exit::kInternal, "{}: room for {} values, want {}",
        name(role), values, rows * shape->columns);
  return *shape;
}

bool is_layer_matrix(TensorRole role) {
  using enum TensorRole;
  constexpr TensorRole kMatrices[] = {kQ, kK, kV, kOut, kGate, kUp, kDown};
  return std::ranges::find(kMatrices, role) != std::end(kMatrices);
}

bool is_norm_weight(TensorRole role) {
  switch (role) {
    case TensorRole::kEmbeddingNorm:
    case TensorRole::kFinalNorm:
    case TensorRole::kInputNorm:
    case TensorRole::kPostNorm:
    case TensorRole::kAttentionNorm:
    case TensorRole::kFeedForwardNorm:
    case TensorRole::kQNorm:
    case TensorRole::kKNorm:
      return true;
    default:
      return false;
  }
}

std::string_view name(TensorRole role) {
  constexpr std::array<std::string_view, kTensorRoles> kNames = {"embedding",
                                                                 "position_embedding",
                                                                 "embedding_norm",
                                                                 "embedding_norm_bias",
                                                                 "final_norm",
                                                                 "final_norm_bias",
                                                                 "head",
                                                                 "input_norm",
                                                                 "input_norm_bias",
                                                                 "q",
                                                                 "k",
                                                                 "v",
                                                                 "q_bias",
                                                                 "k_bias",
                                                                 "v_bias",
                                                                 "out",
                                                                 "out_bias",
                                                                 "post_norm",
                                                                 "post_norm_bias",
                                                                 "gate",
                                                                 "up",
                                                                 "down",
                                                                 "gate_bias",
                                                                 "up_bias",
                                                                 "down_bias",
                                                                 "q_norm",
                                                                 "k_norm",
                                                                 "attention_norm",
                                                                 "feed_forward_norm",
                                                                 "project_in",
                                                                 "project_out",
                                                                 "router"};
  return kNames[static_cast<size_t>(role)];
}

int64_t parameter_count(const ModelConfig& config) {
  int64_t total = 0;
  for (const TensorRole role : all_tensor_roles()) {
    const auto shape = shape_of(config, role);
    if (!shape || (role == TensorRole::kHead && config.tied_head)) continue;
    total += shape->rows * shape->columns * (shape->per_layer ? config.layers : 1);
  }
  return total;
}

}  // namespace llmpq
