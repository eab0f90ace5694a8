#include "input/families.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json.hpp"
#include "input/family_configs.hpp"
#include "input/family_tables.hpp"

namespace llmpq {
namespace {

using std::string_view;

constexpr Family kFamilies[] = {
    {"llama", "LlamaForCausalLM", "Llama 1 to 3.3", read_llama, kLlamaTensors, kLlamaPrefixes,
     QkvLayout::kSeparate},
    {"mistral", "MistralForCausalLM", "Mistral", read_mistral, kLlamaTensors, kLlamaPrefixes,
     QkvLayout::kSeparate},
    {"qwen2", "Qwen2ForCausalLM", "Qwen2, Qwen2.5", read_qwen2, kLlamaTensors, kLlamaPrefixes,
     QkvLayout::kSeparate},
    {"qwen3", "Qwen3ForCausalLM", "Qwen3", read_qwen3, kQwen3Tensors, kLlamaPrefixes,
     QkvLayout::kSeparate},
    {"mixtral", "MixtralForCausalLM", "Mixtral", read_mixtral, kMixtralTensors, kLlamaPrefixes,
     QkvLayout::kSeparate},
    {"qwen3_moe", "Qwen3MoeForCausalLM", "Qwen3-MoE", read_qwen3_moe, kQwen3MoeTensors,
     kLlamaPrefixes, QkvLayout::kSeparate},
    {"phi3", "Phi3ForCausalLM", "Phi-3, Phi-3.5, Phi-4-mini", read_phi3, kPhi3Tensors,
     kLlamaPrefixes, QkvLayout::kOneAfterTheOther},
    {"gemma2", "Gemma2ForCausalLM", "Gemma 2", read_gemma2, kGemma2Tensors, kLlamaPrefixes,
     QkvLayout::kSeparate},
    {"opt", "OPTForCausalLM", "OPT", read_opt, kOptTensors, kOptPrefixes, QkvLayout::kSeparate},
    {"bloom", "BloomForCausalLM", "BLOOM", read_bloom, kBloomTensors, kTransformerPrefixes,
     QkvLayout::kPerKvHead},
    {"gpt2", "GPT2LMHeadModel", "GPT-2", read_gpt2, kGpt2Tensors, kTransformerPrefixes,
     QkvLayout::kOneAfterTheOther, true},
    {"gpt_neox", "GPTNeoXForCausalLM", "GPT-NeoX, Pythia", read_gpt_neox, kGptNeoxTensors,
     kGptNeoxPrefixes, QkvLayout::kPerKvHead},
    {"falcon", "FalconForCausalLM", "Falcon 7B, 40B, 180B, RW, 11B", read_falcon, kFalconTensors,
     kTransformerPrefixes, QkvLayout::kPerKvHead},
};

constexpr string_view kBufferEndings[] = {"rotary_emb.inv_freq",    ".attn.bias",
                                          ".attn.masked_bias",      ".attention.bias",
                                          ".attention.masked_bias", "position_ids"};

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

std::vector<std::string> tensor_names(const Family& family, TensorRole role, int64_t layer,
                                      int64_t expert) {
  std::vector<std::string> names;
  for (const TensorName& row : family.tensors)
    if (row.role == role) names.push_back(fmt::format(fmt::runtime(row.name), layer, expert));
  CHECK(!names.empty(), Exit::kInternal, "{} has no name for tensor role {}", family.name,
        static_cast<int>(role));
  return names;
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
