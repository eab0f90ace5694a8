// Small models for the tests of layer/: configs of each kind, a checkpoint of random numbers, and a
// runner that puts whole sequences through embedding, layers and head.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "input/tensor_shapes.hpp"
#include "kernels/backend.hpp"
#include "layer/forward.hpp"
#include "layer/random.hpp"

namespace llmpq {

/// Grouped-query attention, gated, rotary positions; no size is a multiple of 16.
inline ModelConfig small_llama() {
  ModelConfig c;
  c.family = "llama";
  c.layers = 3;
  c.hidden = 60;
  c.ffn = 100;
  c.heads = 6;
  c.kv_heads = 2;
  c.head_dim = 22;
  c.vocab = 131;
  c.max_positions = 96;
  c.rotary_dim = 22;
  c.window = {0, 5, 0};
  return c;
}

/// Learned positions, layer norm, biases everywhere, not gated.
inline ModelConfig small_opt() {
  ModelConfig c = small_llama();
  c.family = "opt";
  c.kv_heads = c.heads;
  c.norm = NormArgs::Kind::kLayer;
  c.activation = ActivationArgs::Kind::kRelu;
  c.gated = false;
  c.position = PositionKind::kLearned;
  c.rotary_dim = 0;
  c.position_offset = 2;
  c.window = {0, 0, 0};
  c.qkv_bias = c.out_bias = c.ffn_bias = c.norm_bias = true;
  c.checkpoint_type = DType::kF16;
  return c;
}

/// ALiBi with a head count that is no power of two, a norm after the embedding; one group and more.
inline ModelConfig small_bloom() {
  ModelConfig c = small_opt();
  c.family = "bloom";
  c.hidden = 144;
  c.head_dim = 24;
  c.ffn = 300;
  c.activation = ActivationArgs::Kind::kGeluTanh;
  c.position = PositionKind::kAlibi;
  c.position_offset = 0;
  c.embedding_norm = true;
  c.checkpoint_type = DType::kF32;
  return c;
}

/// Norms around both parts that multiply by 1 + weight, soft caps, norms of each head.
inline ModelConfig small_gemma() {
  ModelConfig c = small_llama();
  c.family = "gemma2";
  c.activation = ActivationArgs::Kind::kGeluTanh;
  c.norm_place = NormPlace::kBoth;
  c.norm_weight_offset = 1;
  c.qk_norm = true;
  c.attention_scale = 0.3f;
  c.attention_soft_cap = 1.5f;
  c.logit_soft_cap = 20.0f;
  c.embedding_scale = 2.5f;
  return c;
}

/// Attention beside the feed-forward part, a part of each head rotated, fewer KV heads.
inline ModelConfig small_parallel() {
  ModelConfig c = small_llama();
  c.family = "gpt_neox";
  c.norm = NormArgs::Kind::kLayer;
  c.activation = ActivationArgs::Kind::kGeluErf;
  c.gated = false;
  c.parallel = true;
  c.rotary_dim = 6;
  c.qkv_bias = c.out_bias = c.ffn_bias = c.norm_bias = true;
  return c;
}

/// Norms after both parts, none at the end, an embedding with fewer columns.
inline ModelConfig small_opt_350m() {
  ModelConfig c = small_opt();
  c.family = "opt_350m";
  c.norm_place = NormPlace::kAfter;
  c.final_norm = false;
  c.projected_width = 36;
  return c;
}

/// Five experts, two for each token.
inline ModelConfig small_experts() {
  ModelConfig c = small_llama();
  c.family = "mixtral";
  c.ffn = 36;
  c.experts = 5;
  c.experts_per_token = 2;
  c.experts_normalized = true;
  return c;
}

inline std::vector<ModelConfig> small_models() {
  return {small_llama(), small_opt(),      small_bloom(),
          small_gemma(), small_parallel(), small_opt_350m()};
}

/// Those and the one with experts.
inline std::vector<ModelConfig> all_small_models() {
  std::vector<ModelConfig> all = small_models();
  all.push_back(small_experts());
  return all;
}

/// Random weights that are bf16 numbers: a function of (role, layer, element).
class RandomCheckpoint : public Checkpoint {
 public:
  explicit RandomCheckpoint(ModelConfig config) : config_(std::move(config)) {}
  const ModelConfig& config() const override { return config_; }
  uint64_t content_hash() const override { return 0; }

  void read_rows(TensorRole role, int64_t layer, int64_t begin, int64_t rows,
                 std::span<float> values) const override {
    const auto columns = static_cast<int64_t>(values.size()) / rows;
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = value(role, layer, begin * columns + static_cast<int64_t>(i)) /
                  std::sqrt(static_cast<float>(columns)) * 2;
    for (float& v : values) v = bf16_exact(v);
  }

  std::vector<float> read_vector(TensorRole role, int64_t layer) const override {
    std::vector<float> values(static_cast<size_t>(shape_of(config_, role)->rows));
    for (size_t i = 0; i < values.size(); ++i) {
      const float v = value(role, layer, static_cast<int64_t>(i)) / 4;
      values[i] = bf16_exact(is_norm_weight(role) ? 1 - config_.norm_weight_offset + v : v);
    }
    return values;
  }

 private:
  static float bf16_exact(float v) { return std::round(v * 512) / 512; }

  static float value(TensorRole role, int64_t layer, int64_t i) {
    const uint64_t bits = draw_bits(static_cast<uint64_t>(role), static_cast<int32_t>(layer), i);
    return static_cast<float>(static_cast<int64_t>(bits >> 40) - (1 << 23)) * 0x1p-23f;
  }

  ModelConfig config_;
};

struct RunnerSetup {
  Format format = Format::kBf16;  ///< of the layers; the head is 16 bit
  DType kv_type = DType::kF32;
  ActivationType activation = ActivationType::kF32;
  std::string isa = "auto";
  int threads = 2;
  LayerObserver* observer = nullptr;
  bool on_gpu = false;  ///< isa and threads then say nothing
};

/// A whole model in one process. Sequences take their blocks as they grow, in an order that is not
/// ascending, so that a wrong block table shows.
class Runner {
 public:
  Runner(const Checkpoint& checkpoint, const RunnerSetup& setup, int64_t max_tokens = 128)
      : setup_(setup),
        config_(checkpoint.config()),
        backend_(setup.on_gpu ? make_cuda_backend({}) : make_cpu_backend(setup.threads, setup.isa)),
        context_(backend_->make_context()),
        sizes_{.max_rows = max_tokens,
               .max_samples = max_tokens,
               .max_model_len = max_tokens,
               .kv_block_tokens = 16,
               .kv_type = setup.kv_type},
        workspace_(config_, sizes_, true, true, *backend_),
        rows_(sizes_, kBlocks, *backend_),
        embedding_(load_embedding(checkpoint, *backend_, *context_)),
        head_(load_head(checkpoint, format_16bit(config_), *backend_, *context_)) {
    for (int64_t layer = 0; layer < config_.layers; ++layer) {
      layers_.push_back(load_layer(checkpoint, layer, setup.format, *backend_, *context_));
      caches_.push_back(allocate_kv(config_, sizes_, kBlocks, *backend_));
    }
  }

  /// Rows of several sequences in one step; returns the logits of every row.
  struct Part {
    int sequence;
    int32_t position;
    std::vector<int32_t> tokens;
  };
  std::vector<std::vector<float>> step(const std::vector<Part>& parts) {
    Rows rows;
    for (const Part& part : parts) {
      const auto count = static_cast<int32_t>(part.tokens.size());
      rows.ranges.push_back({static_cast<int32_t>(rows.count()), count, part.position,
                             static_cast<int32_t>(rows.block_table.size())});
      for (int32_t i = 0; i < count; ++i) {
        rows.tokens.push_back(part.tokens[static_cast<size_t>(i)]);
        rows.positions.push_back(part.position + i);
        rows.sampled.push_back(static_cast<int32_t>(rows.sampled.size()));
      }
      const std::vector<int32_t> blocks = blocks_of(part.sequence, part.position + count);
      rows.block_table.insert(rows.block_table.end(), blocks.begin(), blocks.end());
    }
    return run(rows);
  }

  /// Logits of every position of a sequence that comes in chunks of at most `chunk` tokens.
  std::vector<std::vector<float>> prefill(int sequence, const std::vector<int32_t>& tokens,
                                          size_t chunk) {
    std::vector<std::vector<float>> all;
    for (size_t begin = 0; begin < tokens.size(); begin += chunk) {
      const size_t end = std::min(begin + chunk, tokens.size());
      auto logits = step({{sequence,
                           static_cast<int32_t>(begin),
                           {tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                            tokens.begin() + static_cast<std::ptrdiff_t>(end)}}});
      all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
  }

  /// llmpq::head_inputs() of the first `rows` of the step just run, on the host.
  const float* head_inputs(int64_t rows) {
    const LayerRun run{config_, backend_->ops(), *context_, ActivationType::kF32, workspace_};
    const float* const x = llmpq::head_inputs(run, head_, rows);
    context_->synchronize();
    return x;
  }

  const ModelConfig& config() const { return config_; }
  std::vector<LayerWeights>& layers() { return layers_; }

 private:
  static constexpr int64_t kBlocks = 61;

  std::vector<int32_t> blocks_of(int sequence, int64_t tokens) {
    if (tables_.size() <= static_cast<size_t>(sequence))
      tables_.resize(static_cast<size_t>(sequence) + 1);
    auto& table = tables_[static_cast<size_t>(sequence)];
    while (static_cast<int64_t>(table.size()) * sizes_.kv_block_tokens < tokens)
      table.push_back(static_cast<int32_t>(taken_++ * 23 % kBlocks));
    return table;
  }

  std::vector<std::vector<float>> run(const Rows& host_rows) {
    const RowsView rows = rows_.upload(host_rows, *context_);
    const LayerRun with{config_,           backend_->ops(), *context_,
                        setup_.activation, workspace_,      setup_.observer};
    const LayerRun head{config_, backend_->ops(), *context_, ActivationType::kF32, workspace_};
    forward_embedding(with, embedding_, rows);
    for (size_t i = 0; i < layers_.size(); ++i)
      forward_layer(with, layers_[i], caches_[i].view, static_cast<int64_t>(i), rows);
    forward_head(head, head_, rows);
    std::vector<float> all(static_cast<size_t>(rows.samples * config_.vocab));
    backend_->copy_to_host(*context_, all.data(), workspace_.logits,
                           static_cast<int64_t>(all.size() * sizeof(float)));
    context_->synchronize();
    std::vector<std::vector<float>> logits;
    for (auto row = all.begin(); row != all.end(); row += config_.vocab)
      logits.emplace_back(row, row + config_.vocab);
    return logits;
  }

  RunnerSetup setup_;
  ModelConfig config_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Context> context_;
  Sizes sizes_;
  Workspace workspace_;
  RowsOnDevice rows_;
  EmbeddingWeights embedding_;
  HeadWeights head_;
  std::vector<LayerWeights> layers_;
  std::vector<LayerKv> caches_;
  std::vector<std::vector<int32_t>> tables_;
  int64_t taken_ = 0;
};

inline std::vector<int32_t> random_tokens(size_t count, int64_t vocab, uint64_t seed) {
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>(draw_bits(seed, 1, static_cast<int64_t>(i)) %
                                          static_cast<uint64_t>(vocab)));
  return tokens;
}

}  // namespace llmpq
