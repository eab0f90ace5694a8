#include "layer/step_work.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "layer/memory.hpp"

namespace llmpq {
namespace {

double as_double(int64_t value) { return static_cast<double>(value); }

/// K and V of one token in one layer.
double token_kv_bytes(const ModelConfig& config, DType type) {
  Sizes one_token;
  one_token.kv_block_tokens = 1;
  one_token.kv_type = type;
  return as_double(kv_block_bytes(config, one_token));
}

/// Of the experts that no row of the step goes to.
double unread_bytes(const ModelConfig& c, const WorkKind& kind, const StepShape& shape) {
  if (c.experts == 0) return 0;
  const double share = 1 - reached_experts(c, as_double(shape.rows())) / as_double(c.experts);
  return share * as_double(c.experts) * as_double(expert_bytes(c, kind.format, kind.backend));
}

Unit attention_unit(const WorkKind& kind) {
  const bool tensor_cores = kind.backend == BackendKind::kCuda && kind.kv_type != DType::kF32;
  return tensor_cores ? Unit::kHalf : Unit::kF32;
}

}  // namespace

double StepWork::all_operations() const {
  return std::accumulate(operations.begin(), operations.end(), 0.0);
}

StepWork& StepWork::operator+=(const StepWork& other) {
  bytes += other.bytes;
  for (size_t unit = 0; unit < kUnits; ++unit) operations[unit] += other.operations[unit];
  return *this;
}

Unit product_unit(const WorkKind& kind) {
  const bool halves =
      kind.activation == ActivationType::kBf16 || kind.activation == ActivationType::kF16;
  if (kind.backend == BackendKind::kCuda) return halves ? Unit::kHalf : Unit::kF32;
  if (kind.activation == ActivationType::kInt8 && !is_16bit(kind.format)) return Unit::kInt8;
  const bool pairs = kind.activation == ActivationType::kBf16 && kind.format == Format::kBf16;
  return pairs ? Unit::kHalf : Unit::kF32;
}

double reached_experts(const ModelConfig& c, double rows) {
  const double experts = as_double(c.experts), chosen = as_double(c.experts_per_token);
  return experts * (1 - std::pow(1 - chosen / experts, rows));
}

StepWork layer_work(const ModelConfig& c, const WorkKind& kind, const StepShape& shape) {
  StepWork work;
  const int64_t attended = c.heads * c.head_dim;
  const double expert = as_double(c.up_rows() * c.hidden + c.hidden * c.ffn);
  const double each = as_double(std::max<int64_t>(1, c.experts_per_token));
  const double weights =
      as_double(c.qkv_rows() * c.hidden + c.hidden * attended + c.experts * c.hidden) +
      each * expert;
  work.bytes =
      as_double(layer_bytes(c, kind.format, kind.backend)) - unread_bytes(c, kind, shape) +
      as_double(shape.prefill_context + shape.decode_keys) * token_kv_bytes(c, kind.kv_type);
  work.of(product_unit(kind)) += 2 * as_double(shape.rows()) * weights;
  work.of(attention_unit(kind)) +=
      4 * as_double(attended) * as_double(shape.prefill_keys + shape.decode_keys);
  return work;
}

StepWork embedding_work(const ModelConfig& c, const StepShape& shape) {
  StepWork work;
  work.bytes = as_double(shape.rows() * c.hidden * 2);
  return work;
}

StepWork head_work(const ModelConfig& c, const WorkKind& kind, const StepShape& shape) {
  StepWork work;
  if (shape.samples == 0) return work;
  work.bytes = as_double(head_bytes(c, kind.format, kind.backend));
  work.of(product_unit(kind)) += 2 * as_double(shape.samples * c.vocab) * as_double(c.hidden);
  return work;
}

}  // namespace llmpq
