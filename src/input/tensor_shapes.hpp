// Which tensors a model has, and their shapes: a function of the ModelConfig alone. Used to check a
// checkpoint, to make up a dummy one, and to count parameters.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "input/checkpoint.hpp"

namespace llmpq {

inline constexpr int kTensorRoles = static_cast<int>(TensorRole::kRouter) + 1;
/// All roles, in the order of the enum.
constexpr std::array<TensorRole, kTensorRoles> all_tensor_roles() {
  std::array<TensorRole, kTensorRoles> roles{};
  for (int i = 0; i < kTensorRoles; ++i) roles[i] = static_cast<TensorRole>(i);
  return roles;
}

/// One tensor of a role: [rows, columns], or a vector of `rows` elements (columns = 1).
struct RoleShape {
  int64_t rows = 0;  ///< of all experts together
  int64_t columns = 1;
  bool is_vector = false;
  bool per_layer = false;
  int64_t experts = 1;  ///< tensors that the rows are in, as many in each
};

/// Nothing if the model has no such tensor. A tied head has a shape: reading it gives the
/// embedding.
std::optional<RoleShape> shape_of(const ModelConfig& config, TensorRole role);

/// The shape of a role after checking a request for rows of it: Error(kModel) if the model has no
/// such tensor, Error(kInternal) if layer, rows or the room for the values are wrong.
RoleShape check_rows(const ModelConfig& config, TensorRole role, int64_t layer, int64_t begin,
                     int64_t rows, int64_t values);

/// Whether it is one of a layer's matrices that formats are for: what a checkpoint of integers has
/// as integers.
bool is_layer_matrix(TensorRole role);

/// Whether it is what a norm multiplies by.
bool is_norm_weight(TensorRole role);

/// "q", "post_norm_bias": for messages.
std::string_view name(TensorRole role);

/// All weights, a tied head counted once. Within int64_t for every config that was parsed.
int64_t parameter_count(const ModelConfig& config);

}  // namespace llmpq
