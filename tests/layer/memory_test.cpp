#include "layer/memory.hpp"

#include <gtest/gtest.h>

#include "layer/chooser.hpp"
#include "test_model.hpp"

namespace llmpq {
namespace {

class Memory : public ::testing::TestWithParam<size_t> {
 protected:
  const ModelConfig config = all_small_models()[GetParam()];
  const RandomCheckpoint checkpoint{config};
  const std::unique_ptr<Backend> backend = make_cpu_backend(1, "plain");
  const std::unique_ptr<Context> context = backend->make_context();
};

TEST_P(Memory, LayersAreAsLargeAsPredicted) {
  int64_t last = 0;
  for (const FormatInfo& format : kFormats) {
    const LayerWeights w = load_layer(checkpoint, 1, format.format, *backend, *context);
    const int64_t bytes = weight_bytes(w);
    EXPECT_EQ(layer_bytes(config, format.format, BackendKind::kCpu), bytes) << format.name;
    if (!is_16bit(format.format)) {
      EXPECT_LT(bytes, last) << format.name;
    }
    last = bytes;
  }
}

TEST_P(Memory, EmbeddingAndHeadAreAsLargeAsPredicted) {
  const EmbeddingWeights e = load_embedding(checkpoint, *backend, *context);
  EXPECT_EQ(embedding_bytes(config, BackendKind::kCpu), weight_bytes(e));
  EXPECT_EQ(e.positions.empty(), config.position != PositionKind::kLearned);
  for (Format format : {format_16bit(config), Format::kW8}) {
    const HeadWeights h = load_head(checkpoint, format, *backend, *context);
    EXPECT_EQ(head_bytes(config, format, BackendKind::kCpu), weight_bytes(h));
  }
}

TEST_P(Memory, CachesAreAsLargeAsPredicted) {
  for (DType type : {DType::kF32, DType::kBf16, DType::kF16, DType::kInt8})
    for (int64_t block_tokens : {1, 16}) {
      const Sizes sizes{.kv_block_tokens = block_tokens, .kv_type = type};
      const LayerKv kv = allocate_kv(config, sizes, 7, *backend);
      EXPECT_EQ(kv.memory.bytes(), 7 * kv_block_bytes(config, sizes));
      // The last byte of V is the last byte of the memory, and nothing overlaps.
      const int64_t elements = 7 * config.kv_heads * block_tokens * config.head_dim;
      const auto* k = static_cast<const std::byte*>(kv.view.k);
      const auto* v = static_cast<const std::byte*>(kv.view.v);
      EXPECT_EQ(v - k, elements * size_of(type));
      EXPECT_EQ(v + elements * size_of(type), kv.memory.data() + kv.memory.bytes());
      EXPECT_EQ(kv.view.k_scale != nullptr, type == DType::kInt8);
      if (type == DType::kInt8) {
        EXPECT_EQ(reinterpret_cast<const std::byte*>(kv.view.v_scale + elements / config.head_dim),
                  k);
      }
    }
}

TEST_P(Memory, WorkspaceIsAsLargeAsPredictedAndItsPartsFit) {
  for (bool last : {false, true})
    for (int64_t rows : {1, 5, 64}) {
      const Sizes sizes{.max_rows = rows, .max_samples = 3, .max_model_len = 33};
      const Workspace w(config, sizes, true, last, *backend);
      EXPECT_EQ(w.memory.bytes(), workspace_bytes(config, sizes, true, last));
      EXPECT_EQ(w.logits != nullptr, last);
      EXPECT_EQ(w.cosine != nullptr, config.position == PositionKind::kRope);
      EXPECT_EQ(w.alibi != nullptr, config.position == PositionKind::kAlibi);
      EXPECT_EQ(w.gated == w.up, !config.gated);
      struct Part {
        const float* begin;
        int64_t floats;
      };
      const float* end = nullptr;
      for (const Part& part :
           {Part{w.hidden, rows * config.hidden}, Part{w.normed, rows * config.hidden},
            Part{w.qkv, rows * config.qkv_rows()},
            Part{w.attended, rows * config.heads * config.head_dim},
            Part{w.projected, rows * config.hidden}, Part{w.up, rows * config.up_rows()},
            Part{config.gated ? w.gated : nullptr, rows * config.ffn},
            Part{w.gathered, config.experts > 0 ? rows * config.hidden : 0},
            Part{w.router, rows * config.experts},
            Part{reinterpret_cast<float*>(w.routes.expert), 4 * rows * config.experts_per_token},
            Part{reinterpret_cast<float*>(w.routes.begin), config.experts + 1},
            Part{w.cosine, 33 * (config.rotary_dim / 2)},
            Part{w.sine, 33 * (config.rotary_dim / 2)}, Part{w.alibi, config.heads},
            Part{w.last_hidden, 3 * config.hidden},
            Part{w.projected_last, 3 * config.projected_width}, Part{w.logits, 3 * config.vocab}}) {
        if (part.begin == nullptr) continue;
        EXPECT_GE(part.begin, end);
        if (part.begin != reinterpret_cast<float*>(w.routes.begin)) {
          EXPECT_EQ(reinterpret_cast<uintptr_t>(part.begin) % 64, 0u);
        }
        end = part.begin + part.floats;
      }
      EXPECT_LE(reinterpret_cast<const std::byte*>(end), w.memory.data() + w.memory.bytes());
      EXPECT_EQ(reinterpret_cast<const float*>(w.memory.data()), w.hidden);
    }
}

TEST_P(Memory, StepListsAndChooserAreAsLargeAsPredicted) {
  for (int64_t rows : {1, 5, 64}) {
    const Sizes sizes{
        .max_rows = rows, .max_samples = std::min<int64_t>(rows, 3), .max_model_len = 33};
    EXPECT_EQ(RowsOnDevice(sizes, 7, *backend).bytes(), rows_bytes(sizes) + 7 * kTableEntryBytes);
    EXPECT_EQ(Chooser(config, sizes, *backend).bytes(), chooser_bytes(config, sizes));
  }
}

/// A GPU packs whole groups and tiles, so it hardly ever needs less (the CPU's tiles have more
/// rows); scratch is CUDA's alone.
TEST_P(Memory, AGpuIsCountedWithoutBeingHere) {
  const Sizes sizes{.max_rows = 64, .max_samples = 3, .max_model_len = 33};
  for (const FormatInfo& format : kFormats)
    EXPECT_GE(layer_bytes(config, format.format, BackendKind::kCuda),
              layer_bytes(config, format.format, BackendKind::kCpu) * 49 / 50);
  const ScratchNeeds needs = scratch_needs(config, sizes, true);
  EXPECT_EQ(scratch_bytes(BackendKind::kCpu, needs), 0);
  EXPECT_GT(scratch_bytes(BackendKind::kCuda, needs), 64 * config.ffn * 4);
}

INSTANTIATE_TEST_SUITE_P(Models, Memory, ::testing::Range<size_t>(0, all_small_models().size()),
                         [](const auto& test) { return all_small_models()[test.param].family; });

}  // namespace
}  // namespace llmpq
