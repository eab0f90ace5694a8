#include "layer/memory.hpp"

#include <algorithm>

namespace llmpq {
namespace {

constexpr int64_t kFloat = 4, kHalf = 2;  // bytes

int64_t norm_bytes(const ModelConfig& c) { return (c.norm_bias ? 2 : 1) * c.hidden * kFloat; }

int64_t linear_bytes(BackendKind backend, Format format, int64_t n, int64_t k, bool bias) {
  return packed_bytes(backend, format, n, k) + (bias ? n * kFloat : 0);
}

/// RMS norms that only some models have: of each head of q and k, of what the two parts give.
int64_t more_norm_bytes(const ModelConfig& c) {
  const int64_t heads = c.qk_norm ? 2 * c.head_dim : 0;
  const int64_t parts = c.norm_place == NormPlace::kBoth ? 2 * c.hidden : 0;
  return (heads + parts) * kFloat;
}

int64_t projection_bytes(const ModelConfig& c, BackendKind backend, int64_t n, int64_t k) {
  return c.projected_width > 0 ? packed_bytes(backend, format_16bit(c), n, k) : 0;
}

/// Of all experts and their router, if there are experts.
int64_t feed_forward_bytes(const ModelConfig& c, Format format, BackendKind backend) {
  const int64_t one = expert_bytes(c, format, backend);
  if (c.experts == 0) return one;
  return c.experts * one + packed_bytes(backend, format_16bit(c), c.experts, c.hidden);
}

}  // namespace

int64_t expert_bytes(const ModelConfig& c, Format format, BackendKind backend) {
  return linear_bytes(backend, format, c.up_rows(), c.hidden, c.ffn_bias) +
         linear_bytes(backend, format, c.hidden, c.ffn, c.ffn_bias);
}

Format format_16bit(const ModelConfig& config) {
  return config.checkpoint_type == DType::kF16 ? Format::kF16 : Format::kBf16;
}

Format format_16bit(const ModelConfig& config, std::span<const int> compute_capabilities) {
  const Format own = format_16bit(config);
  const bool is_everywhere = std::ranges::all_of(
      compute_capabilities, [&](int capability) { return multiplies(capability, own); });
  return is_everywhere ? own : Format::kF16;
}

int64_t layer_bytes(const ModelConfig& c, Format format, BackendKind backend) {
  return (c.shared_norm ? 1 : 2) * norm_bytes(c) + more_norm_bytes(c) +
         linear_bytes(backend, format, c.qkv_rows(), c.hidden, c.qkv_bias) +
         linear_bytes(backend, format, c.hidden, c.heads * c.head_dim, c.out_bias) +
         feed_forward_bytes(c, format, backend);
}

int64_t embedding_bytes(const ModelConfig& c, BackendKind backend) {
  const bool learned = c.position == PositionKind::kLearned;
  const int64_t positions = learned ? c.max_positions + c.position_offset : 0;
  return (c.vocab * c.embedding_columns() + positions * c.hidden) * kHalf +
         (c.embedding_norm ? norm_bytes(c) : 0) +
         projection_bytes(c, backend, c.hidden, c.projected_width);
}

int64_t head_bytes(const ModelConfig& c, Format format, BackendKind backend) {
  return (c.final_norm ? norm_bytes(c) : 0) +
         projection_bytes(c, backend, c.projected_width, c.hidden) +
         linear_bytes(backend, format, c.vocab, c.embedding_columns(), false);
}

int64_t kv_block_bytes(const ModelConfig& c, const Sizes& sizes) {
  const int64_t scale = sizes.kv_type == DType::kInt8 ? kFloat : 0;
  return 2 * c.kv_heads * sizes.kv_block_tokens * (c.head_dim * size_of(sizes.kv_type) + scale);
}

WorkspaceParts workspace_parts(const ModelConfig& c, const Sizes& sizes, bool last) {
  const int64_t rows = sizes.max_rows, samples = last ? sizes.max_samples : 0;
  const bool rope = c.position == PositionKind::kRope;
  const int64_t table = rope ? sizes.max_model_len * (c.rotary_dim / 2) : 0;
  return {.hidden = rows * c.hidden,
          .normed = rows * c.hidden,
          .qkv = rows * c.qkv_rows(),
          .attended = rows * c.heads * c.head_dim,
          .projected = rows * c.hidden,
          .up = rows * c.up_rows(),
          .gated = c.gated ? rows * c.ffn : 0,
          .gathered = c.experts > 0 ? rows * c.hidden : 0,
          .router = rows * c.experts,
          .routes = c.experts > 0 ? 4 * rows * c.experts_per_token + c.experts + 1 : 0,
          .cosine = table,
          .sine = table,
          .alibi = c.position == PositionKind::kAlibi ? c.heads : 0,
          .last_hidden = samples * c.hidden,
          .projected_last = samples * c.projected_width,
          .logits = samples * c.vocab};
}

/// The first stage needs nothing of its own: the embedding writes where the layers read.
int64_t workspace_bytes(const ModelConfig& config, const Sizes& sizes, bool /*first*/, bool last) {
  const WorkspaceParts p = workspace_parts(config, sizes, last);
  int64_t bytes = 0;
  for (int64_t floats :
       {p.hidden, p.normed, p.qkv, p.attended, p.projected, p.up, p.gated, p.gathered, p.router,
        p.routes, p.cosine, p.sine, p.alibi, p.last_hidden, p.projected_last, p.logits})
    bytes += part_bytes(floats);
  return bytes;
}

int64_t rows_bytes(const Sizes& sizes) {
  constexpr int64_t kNumber = 4, kRange = sizeof(RowRange);
  return sizes.max_rows * (2 * kNumber + kRange) + sizes.max_samples * kNumber;
}

ScratchNeeds scratch_needs(const ModelConfig& c, const Sizes& sizes, bool last) {
  ScratchNeeds needs;
  const int64_t rows = sizes.max_rows, attended = c.heads * c.head_dim;
  needs.products = {{rows, c.qkv_rows(), c.hidden},
                    {rows, c.hidden, attended},
                    {rows, c.up_rows(), c.hidden},
                    {rows, c.hidden, c.ffn}};
  if (c.experts > 0) needs.products.push_back({rows, c.experts, c.hidden});
  if (c.projected_width > 0) {
    needs.products.push_back({rows, c.hidden, c.projected_width});
    needs.products.push_back({rows, c.projected_width, c.hidden});
  }
  if (last) needs.products.push_back({sizes.max_samples, c.vocab, c.embedding_columns()});
  // A row that is a range of its own chooses a token, but for one where a chunk cut its prompt.
  needs.sequences = sizes.max_samples + 1;
  needs.heads = c.heads;
  needs.head_dim = c.head_dim;
  needs.max_model_len = sizes.max_model_len;
  needs.samples = last ? sizes.max_samples : 0;
  needs.vocab = last ? c.vocab : 0;
  return needs;
}

}  // namespace llmpq
