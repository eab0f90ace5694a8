// The model families, one row each: what config.json calls it, who reads its config, what its
// tensors are called. A new family is a row here, a config reader and a parity fixture.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "input/checkpoint.hpp"
#include "input/config_reader.hpp"

namespace llmpq {

/// How the rows of q, k and v stand in the files: in three tensors, or in one under the same name
/// for all three.
enum class QkvLayout : uint8_t {
  kSeparate,
  kOneAfterTheOther,  ///< [(heads + 2 kv_heads) * head_dim, ...]: all of q, then of k, then of v
  kPerKvHead,  ///< [kv_heads, heads / kv_heads + 2, head_dim, ...]: the heads that read it, k, v
};

/// What a tensor of a role is called, without the prefix; {} stands for the layer's index, a second
/// {} for the expert's. Roles with the same name share a tensor (gate and up: gate rows first). A
/// role may have several rows: names that its models use, of which one stands in the files.
struct TensorName {
  TensorRole role;
  std::string_view name;
};

struct Family {
  std::string_view name;          ///< config.json's model_type
  std::string_view architecture;  ///< the entry of config.json's architectures
  std::string_view models;        ///< what people call its models
  void (*read_config)(const ConfigReader& reader, ModelConfig& config);
  std::span<const TensorName> tensors;
  std::span<const std::string_view> prefixes;  ///< each may be missing; the first is the hub's
  QkvLayout qkv;
  bool transposed = false;  ///< the layers' matrices are stored as [inputs, outputs]
};

std::span<const Family> families();

/// The row of that name; Error(kInternal) if there is none.
const Family& family_named(std::string_view name);

/// The row that config.json's architectures and model_type ask for. Error(kModel) with the
/// supported ones if there is none, or if the two contradict each other.
const Family& family_of(const ConfigReader& reader);

/// A tensor's names in the files, without the prefix: one, or a choice.
std::vector<std::string> tensor_names(const Family& family, TensorRole role, int64_t layer,
                                      int64_t expert = 0);

/// The name without the first of the family's prefixes that it has.
std::string_view without_prefix(const Family& family, std::string_view name);

/// Whether the (prefix-free) name is of a buffer that older files carry and nobody needs: rotary
/// frequencies, causal masks, position ids.
bool is_buffer(std::string_view name);

}  // namespace llmpq
