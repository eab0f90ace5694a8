// What each family calls its tensors, without prefix; {} stands for the layer's index. Included by
// families.cpp alone.
#pragma once

#include <algorithm>
#include <array>

#include "input/families.hpp"

namespace llmpq {

using Role = TensorRole;

/// Two tables as one.
template <size_t n, size_t m>
constexpr std::array<TensorName, n + m> joined(const std::array<TensorName, n>& a,
                                               const TensorName (&b)[m]) {
  std::array<TensorName, n + m> all{};
  std::copy(a.begin(), a.end(), all.begin());
  std::copy(b, b + m, all.begin() + n);
  return all;
}
template <size_t n, size_t m>
constexpr std::array<TensorName, n + m> joined(const TensorName (&a)[n], const TensorName (&b)[m]) {
  return joined(std::to_array(a), b);
}

/// All but the feed-forward part, which models with experts have in another way.
constexpr TensorName kLlamaAttention[] = {
    {Role::kEmbedding, "embed_tokens.weight"},
    {Role::kFinalNorm, "norm.weight"},
    {Role::kHead, "lm_head.weight"},
    {Role::kInputNorm, "layers.{}.input_layernorm.weight"},
    {Role::kQ, "layers.{}.self_attn.q_proj.weight"},
    {Role::kK, "layers.{}.self_attn.k_proj.weight"},
    {Role::kV, "layers.{}.self_attn.v_proj.weight"},
    {Role::kQBias, "layers.{}.self_attn.q_proj.bias"},
    {Role::kKBias, "layers.{}.self_attn.k_proj.bias"},
    {Role::kVBias, "layers.{}.self_attn.v_proj.bias"},
    {Role::kOut, "layers.{}.self_attn.o_proj.weight"},
    {Role::kOutBias, "layers.{}.self_attn.o_proj.bias"},
    {Role::kPostNorm, "layers.{}.post_attention_layernorm.weight"},
};
constexpr TensorName kLlamaFeedForward[] = {
    {Role::kGate, "layers.{}.mlp.gate_proj.weight"},
    {Role::kUp, "layers.{}.mlp.up_proj.weight"},
    {Role::kDown, "layers.{}.mlp.down_proj.weight"},
    {Role::kGateBias, "layers.{}.mlp.gate_proj.bias"},
    {Role::kUpBias, "layers.{}.mlp.up_proj.bias"},
    {Role::kDownBias, "layers.{}.mlp.down_proj.bias"},
};

constexpr auto kLlamaTensors = joined(kLlamaAttention, kLlamaFeedForward);

constexpr TensorName kMixtralExperts[] = {
    {Role::kRouter, "layers.{}.block_sparse_moe.gate.weight"},
    {Role::kGate, "layers.{}.block_sparse_moe.experts.{}.w1.weight"},
    {Role::kUp, "layers.{}.block_sparse_moe.experts.{}.w3.weight"},
    {Role::kDown, "layers.{}.block_sparse_moe.experts.{}.w2.weight"},
};
constexpr auto kMixtralTensors = joined(kLlamaAttention, kMixtralExperts);

constexpr TensorName kHeadNorms[] = {
    {Role::kQNorm, "layers.{}.self_attn.q_norm.weight"},
    {Role::kKNorm, "layers.{}.self_attn.k_norm.weight"},
};
constexpr auto kQwen3Tensors = joined(kLlamaTensors, kHeadNorms);

constexpr TensorName kQwen3Experts[] = {
    {Role::kRouter, "layers.{}.mlp.gate.weight"},
    {Role::kGate, "layers.{}.mlp.experts.{}.gate_proj.weight"},
    {Role::kUp, "layers.{}.mlp.experts.{}.up_proj.weight"},
    {Role::kDown, "layers.{}.mlp.experts.{}.down_proj.weight"},
};
constexpr auto kQwen3MoeTensors = joined(joined(kLlamaAttention, kHeadNorms), kQwen3Experts);

constexpr TensorName kPhi3Tensors[] = {
    {Role::kEmbedding, "embed_tokens.weight"},
    {Role::kFinalNorm, "norm.weight"},
    {Role::kHead, "lm_head.weight"},
    {Role::kInputNorm, "layers.{}.input_layernorm.weight"},
    {Role::kQ, "layers.{}.self_attn.qkv_proj.weight"},
    {Role::kK, "layers.{}.self_attn.qkv_proj.weight"},
    {Role::kV, "layers.{}.self_attn.qkv_proj.weight"},
    {Role::kOut, "layers.{}.self_attn.o_proj.weight"},
    {Role::kPostNorm, "layers.{}.post_attention_layernorm.weight"},
    {Role::kGate, "layers.{}.mlp.gate_up_proj.weight"},
    {Role::kUp, "layers.{}.mlp.gate_up_proj.weight"},
    {Role::kDown, "layers.{}.mlp.down_proj.weight"},
};

constexpr TensorName kGemma2Tensors[] = {
    {Role::kEmbedding, "embed_tokens.weight"},
    {Role::kFinalNorm, "norm.weight"},
    {Role::kHead, "lm_head.weight"},
    {Role::kInputNorm, "layers.{}.input_layernorm.weight"},
    {Role::kQ, "layers.{}.self_attn.q_proj.weight"},
    {Role::kK, "layers.{}.self_attn.k_proj.weight"},
    {Role::kV, "layers.{}.self_attn.v_proj.weight"},
    {Role::kQBias, "layers.{}.self_attn.q_proj.bias"},
    {Role::kKBias, "layers.{}.self_attn.k_proj.bias"},
    {Role::kVBias, "layers.{}.self_attn.v_proj.bias"},
    {Role::kOut, "layers.{}.self_attn.o_proj.weight"},
    {Role::kOutBias, "layers.{}.self_attn.o_proj.bias"},
    {Role::kAttentionNorm, "layers.{}.post_attention_layernorm.weight"},
    {Role::kPostNorm, "layers.{}.pre_feedforward_layernorm.weight"},
    {Role::kGate, "layers.{}.mlp.gate_proj.weight"},
    {Role::kUp, "layers.{}.mlp.up_proj.weight"},
    {Role::kDown, "layers.{}.mlp.down_proj.weight"},
    {Role::kFeedForwardNorm, "layers.{}.post_feedforward_layernorm.weight"},
};

constexpr TensorName kOptTensors[] = {
    {Role::kEmbedding, "embed_tokens.weight"},
    {Role::kPositionEmbedding, "embed_positions.weight"},
    {Role::kProjectIn, "project_in.weight"},
    {Role::kProjectOut, "project_out.weight"},
    {Role::kFinalNorm, "final_layer_norm.weight"},
    {Role::kFinalNormBias, "final_layer_norm.bias"},
    {Role::kHead, "lm_head.weight"},
    {Role::kInputNorm, "layers.{}.self_attn_layer_norm.weight"},
    {Role::kInputNormBias, "layers.{}.self_attn_layer_norm.bias"},
    {Role::kQ, "layers.{}.self_attn.q_proj.weight"},
    {Role::kK, "layers.{}.self_attn.k_proj.weight"},
    {Role::kV, "layers.{}.self_attn.v_proj.weight"},
    {Role::kQBias, "layers.{}.self_attn.q_proj.bias"},
    {Role::kKBias, "layers.{}.self_attn.k_proj.bias"},
    {Role::kVBias, "layers.{}.self_attn.v_proj.bias"},
    {Role::kOut, "layers.{}.self_attn.out_proj.weight"},
    {Role::kOutBias, "layers.{}.self_attn.out_proj.bias"},
    {Role::kPostNorm, "layers.{}.final_layer_norm.weight"},
    {Role::kPostNormBias, "layers.{}.final_layer_norm.bias"},
    {Role::kUp, "layers.{}.fc1.weight"},
    {Role::kDown, "layers.{}.fc2.weight"},
    {Role::kUpBias, "layers.{}.fc1.bias"},
    {Role::kDownBias, "layers.{}.fc2.bias"},
};

constexpr TensorName kBloomTensors[] = {
    {Role::kEmbedding, "word_embeddings.weight"},
    {Role::kEmbeddingNorm, "word_embeddings_layernorm.weight"},
    {Role::kEmbeddingNormBias, "word_embeddings_layernorm.bias"},
    {Role::kFinalNorm, "ln_f.weight"},
    {Role::kFinalNormBias, "ln_f.bias"},
    {Role::kHead, "lm_head.weight"},
    {Role::kInputNorm, "h.{}.input_layernorm.weight"},
    {Role::kInputNormBias, "h.{}.input_layernorm.bias"},
    {Role::kQ, "h.{}.self_attention.query_key_value.weight"},
    {Role::kK, "h.{}.self_attention.query_key_value.weight"},
    {Role::kV, "h.{}.self_attention.query_key_value.weight"},
    {Role::kQBias, "h.{}.self_attention.query_key_value.bias"},
    {Role::kKBias, "h.{}.self_attention.query_key_value.bias"},
    {Role::kVBias, "h.{}.self_attention.query_key_value.bias"},
    {Role::kOut, "h.{}.self_attention.dense.weight"},
    {Role::kOutBias, "h.{}.self_attention.dense.bias"},
    {Role::kPostNorm, "h.{}.post_attention_layernorm.weight"},
    {Role::kPostNormBias, "h.{}.post_attention_layernorm.bias"},
    {Role::kUp, "h.{}.mlp.dense_h_to_4h.weight"},
    {Role::kDown, "h.{}.mlp.dense_4h_to_h.weight"},
    {Role::kUpBias, "h.{}.mlp.dense_h_to_4h.bias"},
    {Role::kDownBias, "h.{}.mlp.dense_4h_to_h.bias"},
};

constexpr TensorName kGpt2Tensors[] = {
    {Role::kEmbedding, "wte.weight"},          {Role::kPositionEmbedding, "wpe.weight"},
    {Role::kFinalNorm, "ln_f.weight"},         {Role::kFinalNormBias, "ln_f.bias"},
    {Role::kHead, "lm_head.weight"},           {Role::kInputNorm, "h.{}.ln_1.weight"},
    {Role::kInputNormBias, "h.{}.ln_1.bias"},  {Role::kQ, "h.{}.attn.c_attn.weight"},
    {Role::kK, "h.{}.attn.c_attn.weight"},     {Role::kV, "h.{}.attn.c_attn.weight"},
    {Role::kQBias, "h.{}.attn.c_attn.bias"},   {Role::kKBias, "h.{}.attn.c_attn.bias"},
    {Role::kVBias, "h.{}.attn.c_attn.bias"},   {Role::kOut, "h.{}.attn.c_proj.weight"},
    {Role::kOutBias, "h.{}.attn.c_proj.bias"}, {Role::kPostNorm, "h.{}.ln_2.weight"},
    {Role::kPostNormBias, "h.{}.ln_2.bias"},   {Role::kUp, "h.{}.mlp.c_fc.weight"},
    {Role::kDown, "h.{}.mlp.c_proj.weight"},   {Role::kUpBias, "h.{}.mlp.c_fc.bias"},
    {Role::kDownBias, "h.{}.mlp.c_proj.bias"},
};

constexpr TensorName kGptNeoxTensors[] = {
    {Role::kEmbedding, "embed_in.weight"},
    {Role::kFinalNorm, "final_layer_norm.weight"},
    {Role::kFinalNormBias, "final_layer_norm.bias"},
    {Role::kHead, "embed_out.weight"},
    {Role::kHead, "lm_head.weight"},
    {Role::kInputNorm, "layers.{}.input_layernorm.weight"},
    {Role::kInputNormBias, "layers.{}.input_layernorm.bias"},
    {Role::kQ, "layers.{}.attention.query_key_value.weight"},
    {Role::kK, "layers.{}.attention.query_key_value.weight"},
    {Role::kV, "layers.{}.attention.query_key_value.weight"},
    {Role::kQBias, "layers.{}.attention.query_key_value.bias"},
    {Role::kKBias, "layers.{}.attention.query_key_value.bias"},
    {Role::kVBias, "layers.{}.attention.query_key_value.bias"},
    {Role::kOut, "layers.{}.attention.dense.weight"},
    {Role::kOutBias, "layers.{}.attention.dense.bias"},
    {Role::kPostNorm, "layers.{}.post_attention_layernorm.weight"},
    {Role::kPostNormBias, "layers.{}.post_attention_layernorm.bias"},
    {Role::kUp, "layers.{}.mlp.dense_h_to_4h.weight"},
    {Role::kDown, "layers.{}.mlp.dense_4h_to_h.weight"},
    {Role::kUpBias, "layers.{}.mlp.dense_h_to_4h.bias"},
    {Role::kDownBias, "layers.{}.mlp.dense_4h_to_h.bias"},
};

/// The norms are called ln_attn and ln_mlp where a parallel layer has two.
constexpr TensorName kFalconTensors[] = {
    {Role::kEmbedding, "word_embeddings.weight"},
    {Role::kFinalNorm, "ln_f.weight"},
    {Role::kFinalNormBias, "ln_f.bias"},
    {Role::kHead, "lm_head.weight"},
    {Role::kInputNorm, "h.{}.input_layernorm.weight"},
    {Role::kInputNorm, "h.{}.ln_attn.weight"},
    {Role::kInputNormBias, "h.{}.input_layernorm.bias"},
    {Role::kInputNormBias, "h.{}.ln_attn.bias"},
    {Role::kQ, "h.{}.self_attention.query_key_value.weight"},
    {Role::kK, "h.{}.self_attention.query_key_value.weight"},
    {Role::kV, "h.{}.self_attention.query_key_value.weight"},
    {Role::kQBias, "h.{}.self_attention.query_key_value.bias"},
    {Role::kKBias, "h.{}.self_attention.query_key_value.bias"},
    {Role::kVBias, "h.{}.self_attention.query_key_value.bias"},
    {Role::kOut, "h.{}.self_attention.dense.weight"},
    {Role::kOutBias, "h.{}.self_attention.dense.bias"},
    {Role::kPostNorm, "h.{}.post_attention_layernorm.weight"},
    {Role::kPostNorm, "h.{}.ln_mlp.weight"},
    {Role::kPostNormBias, "h.{}.post_attention_layernorm.bias"},
    {Role::kPostNormBias, "h.{}.ln_mlp.bias"},
    {Role::kUp, "h.{}.mlp.dense_h_to_4h.weight"},
    {Role::kDown, "h.{}.mlp.dense_4h_to_h.weight"},
    {Role::kUpBias, "h.{}.mlp.dense_h_to_4h.bias"},
    {Role::kDownBias, "h.{}.mlp.dense_4h_to_h.bias"},
};

constexpr std::string_view kLlamaPrefixes[] = {"model."};
constexpr std::string_view kOptPrefixes[] = {"model.decoder.", "decoder."};
constexpr std::string_view kTransformerPrefixes[] = {"transformer."};
constexpr std::string_view kGptNeoxPrefixes[] = {"gpt_neox."};

}  // namespace llmpq
