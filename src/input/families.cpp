#include "input/families.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json.hpp"
#include "input/family_configs.hpp"

namespace llmpq {
namespace {

using Role = TensorRole;
using std::string_view;

constexpr TensorName kLlamaTensors[] = {
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
    {Role::kGate, "layers.{}.mlp.gate_proj.weight"},
    {Role::kUp, "layers.{}.mlp.up_proj.weight"},
    {Role::kDown, "layers.{}.mlp.down_proj.weight"},
    {Role::kGateBias, "layers.{}.mlp.gate_proj.bias"},
    {Role::kUpBias, "layers.{}.mlp.up_proj.bias"},
    {Role::kDownBias, "layers.{}.mlp.down_proj.bias"},
};

constexpr TensorName kOptTensors[] = {
    {Role::kEmbedding, "embed_tokens.weight"},
    {Role::kPositionEmbedding, "embed_positions.weight"},
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

constexpr string_view kLlamaPrefixes[] = {"model."};
constexpr string_view kOptPrefixes[] = {"model.decoder.", "decoder."};
constexpr string_view kBloomPrefixes[] = {"transformer."};

constexpr Family kFamilies[] = {
    {"llama", "LlamaForCausalLM", read_llama, kLlamaTensors, kLlamaPrefixes, QkvLayout::kSeparate},
    {"mistral", "MistralForCausalLM", read_mistral, kLlamaTensors, kLlamaPrefixes,
     QkvLayout::kSeparate},
    {"qwen2", "Qwen2ForCausalLM", read_qwen2, kLlamaTensors, kLlamaPrefixes, QkvLayout::kSeparate},
    {"opt", "OPTForCausalLM", read_opt, kOptTensors, kOptPrefixes, QkvLayout::kSeparate},
    {"bloom", "BloomForCausalLM", read_bloom, kBloomTensors, kBloomPrefixes, QkvLayout::kPerHead},
};

constexpr string_view kBufferEndings[] = {"rotary_emb.inv_freq", "attn.bias", "attn.masked_bias",
                                          "attention.masked_bias", "position_ids"};

/// "LlamaForCausalLM, MistralForCausalLM, ..."
std::string supported(string_view Family::*field) {
  std::vector<string_view> names;
  for (const auto& family : kFamilies) names.push_back(family.*field);
  return fmt::format("{}", fmt::join(names, ", "));
}

const Family* find(string_view Family::*field, string_view value) {
  const auto row = std::ranges::find(kFamilies, value, field);
  return row == std::end(kFamilies) ? nullptr : row;
}

/// The row of the first entry of `architectures` that we know; nullptr if the key is absent.
const Family* find_architecture(const ConfigReader& reader) {
  if (!reader.has("architectures")) return nullptr;
  const auto& names = reader.at("architectures");
  const auto is_text = [](const auto& name) { return name.is_string(); };
  if (!names.is_array() || !std::ranges::all_of(names, is_text))
    reader.refuse("architectures", "an array of strings");
  for (const auto& entry : names)
    if (const auto* row = find(&Family::architecture, entry.template get<std::string>()))
      return row;
  if (names.empty()) return nullptr;
  reader.refuse("architectures", "one of " + supported(&Family::architecture));
}

}  // namespace

std::span<const Family> families() { return kFamilies; }

const Family& family_named(string_view name) {
  const Family* row = find(&Family::name, name);
  CHECK(row != nullptr, Exit::kInternal, "no model family is called '{}'", name);
  return *row;
}

const Family& family_of(const ConfigReader& reader) {
  const Family* row = find_architecture(reader);
  if (row == nullptr || reader.has("model_type")) {
    const Family* by_type = find(&Family::name, reader.text("model_type"));
    if (by_type == nullptr) reader.refuse("model_type", "one of " + supported(&Family::name));
    if (row != nullptr && by_type != row)
      reader.refuse("model_type", fmt::format("{} for {}", row->name, row->architecture));
    row = by_type;
  }
  return *row;
}

std::string tensor_name(const Family& family, TensorRole role, int64_t layer) {
  const auto row = std::ranges::find(family.tensors, role, &TensorName::role);
  CHECK(row != family.tensors.end(), Exit::kInternal, "{} has no name for tensor role {}",
        family.name, static_cast<int>(role));
  return fmt::format(fmt::runtime(row->name), layer);
}

string_view without_prefix(const Family& family, string_view name) {
  for (const auto prefix : family.prefixes)
    if (name.starts_with(prefix)) return name.substr(prefix.size());
  return name;
}

bool is_buffer(string_view name) {
  return std::ranges::any_of(kBufferEndings,
                             [&](string_view ending) { return name.ends_with(ending); });
}

}  // namespace llmpq
