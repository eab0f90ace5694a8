// The run-time memory of a stage: the KV cache of each layer, and the buffers that layers share.
#include <utility>

#include "kernels/rope_tables.hpp"
#include "layer/forward.hpp"
#include "layer/positions.hpp"

namespace llmpq {
namespace {

/// Hands out the parts of one allocation, in order; nullptr for an empty part.
class Carver {
 public:
  explicit Carver(Buffer& memory) : next_(memory.data()) {}
  float* take(int64_t floats) {
    std::byte* part = std::exchange(next_, next_ + part_bytes(floats));
    return floats > 0 ? reinterpret_cast<float*>(part) : nullptr;
  }

 private:
  std::byte* next_;
};

/// Cuts the part of the routes; all empty without experts.
Routes make_routes(const ModelConfig& config, const Sizes& sizes, float* part) {
  if (part == nullptr) return {};
  const int64_t entries = sizes.max_rows * config.experts_per_token;
  return {.expert = reinterpret_cast<int32_t*>(part),
          .row_weight = part + entries,
          .row = reinterpret_cast<int32_t*>(part + 2 * entries),
          .weight = part + 3 * entries,
          .begin = reinterpret_cast<int32_t*>(part + 4 * entries),
          .on_host = std::vector<int32_t>(static_cast<size_t>(config.experts + 1))};
}

void upload(Backend& backend, const std::vector<float>& from, float* to) {
  if (from.empty()) return;
  const auto context = backend.make_context();
  backend.copy_to_device(*context, to, from.data(), static_cast<int64_t>(from.size()) * 4);
  context->synchronize();
}

}  // namespace

LayerKv allocate_kv(const ModelConfig& config, const Sizes& sizes, int64_t blocks,
                    Backend& backend) {
  LayerKv kv{backend.allocate(blocks * kv_block_bytes(config, sizes)), {}};
  KvCache& view = kv.view;
  view = {.type = sizes.kv_type,
          .blocks = blocks,
          .block_tokens = sizes.kv_block_tokens,
          .kv_heads = config.kv_heads,
          .head_dim = config.head_dim,
          .k = nullptr,
          .v = nullptr,
          .k_scale = nullptr,
          .v_scale = nullptr};
  const int64_t tokens = blocks * config.kv_heads * sizes.kv_block_tokens;
  std::byte* next = kv.memory.data();
  if (view.type == DType::kInt8) {  // first, because floats must lie aligned
    view.k_scale = reinterpret_cast<float*>(next);
    view.v_scale = view.k_scale + tokens;
    next += 2 * tokens * static_cast<int64_t>(sizeof(float));
  }
  view.k = next;
  view.v = next + tokens * config.head_dim * size_of(view.type);
  return kv;
}

Workspace::Workspace(const ModelConfig& config, const Sizes& sizes, bool first, bool last,
                     Backend& backend)
    : memory(backend.allocate(workspace_bytes(config, sizes, first, last))) {
  const WorkspaceParts parts = workspace_parts(config, sizes, last);
  Carver carver(memory);
  hidden = carver.take(parts.hidden);
  normed = carver.take(parts.normed);
  qkv = carver.take(parts.qkv);
  attended = carver.take(parts.attended);
  projected = carver.take(parts.projected);
  up = carver.take(parts.up);
  gated = config.gated ? carver.take(parts.gated) : up;
  gathered = carver.take(parts.gathered);
  router = carver.take(parts.router);
  routes = make_routes(config, sizes, carver.take(parts.routes));
  cosine = carver.take(parts.cosine);
  sine = carver.take(parts.sine);
  alibi = carver.take(parts.alibi);
  last_hidden = carver.take(parts.last_hidden);
  projected_last = carver.take(parts.projected_last);
  logits = carver.take(parts.logits);

  if (parts.cosine > 0) {
    const std::vector<float> frequencies = rope_frequencies(config, sizes.max_model_len);
    std::vector<float> cosines(static_cast<size_t>(parts.cosine)), sines(cosines.size());
    rope_tables(cosines.data(), sines.data(), sizes.max_model_len,
                static_cast<int64_t>(frequencies.size()), frequencies.data(),
                static_cast<float>(config.rope_scaling.attention_factor));
    upload(backend, cosines, cosine);
    upload(backend, sines, sine);
  }
  if (parts.alibi > 0) upload(backend, alibi_slopes(config), alibi);
}

}  // namespace llmpq
