// What a step cannot do without: the bytes that it has to read from memory and the operations that
// it has to compute. The only place with these formulas; llmpq bench divides them by measured time
// and measured peaks (MBU and MFU, the model's share of bandwidth and of arithmetic).
#pragma once

#include <array>
#include <cstdint>

#include "input/model_config.hpp"
#include "kernels/backend.hpp"
#include "layer/step_shape.hpp"

namespace llmpq {

/// Which of a device's units computes: their peaks differ.
enum class Unit : uint8_t { kF32, kInt8, kHalf };
inline constexpr size_t kUnits = 3;

struct StepWork {
  double bytes = 0;                         ///< weights, once a step, and KV cache
  std::array<double, kUnits> operations{};  ///< by unit; a multiply-add counts two

  double& of(Unit unit) { return operations[static_cast<size_t>(unit)]; }
  double of(Unit unit) const { return operations[static_cast<size_t>(unit)]; }
  double all_operations() const;
  StepWork& operator+=(const StepWork& other);
};

/// How a part of the model computes: its weights' format, how inputs of products are rounded, the
/// cache's type, and where.
struct WorkKind {
  Format format = Format::kBf16;
  ActivationType activation = ActivationType::kF32;
  DType kv_type = DType::kBf16;
  BackendKind backend = BackendKind::kCpu;
};

/// The unit that multiplies weights of that kind: on a CPU int8 where both sides are integers, 16
/// bit where both are bf16 (CPUs without such a unit take f32's), else f32; on a GPU 16 bit, but
/// f32 in the exact modes (f32 and int8 inputs, kernels/README.md).
Unit product_unit(const WorkKind& kind);

/// How many experts a step's rows go to, if each expert is as likely for each row: of e experts, k
/// for each of n rows, e (1 - (1 - k / e)^n).
double reached_experts(const ModelConfig& config, double rows);

/// One decoder layer. With `rows` rows, of which each attends to its keys:
///   bytes = layer_bytes + (prefill_context + decode_keys) * bytes of a token's K and V
///   operations = 2 rows (weights of the four products) + 4 heads head_dim keys
/// Sliding windows are not looked at. Norms, rotation and activation functions are left out, and so
/// are activations, which stay in the caches. Attention is counted as f32 on a CPU, on a GPU as 16
/// bit unless the cache is f32.
StepWork layer_work(const ModelConfig& config, const WorkKind& kind, const StepShape& shape);
/// One row of the table for each row.
StepWork embedding_work(const ModelConfig& config, const StepShape& shape);
/// The final norm and the product over the rows that choose a token; nothing without one.
StepWork head_work(const ModelConfig& config, const WorkKind& kind, const StepShape& shape);

}  // namespace llmpq
