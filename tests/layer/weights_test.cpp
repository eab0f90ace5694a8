#include "layer/weights.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "base/expect_error.hpp"
#include "base/temp_folder.hpp"
#include "kernels/check.hpp"
#include "kernels/cpu/pack.hpp"
#include "test_model.hpp"

namespace llmpq {
namespace {

class Weights : public ::testing::TestWithParam<size_t> {
 protected:
  const ModelConfig config = small_models()[GetParam()];
  const RandomCheckpoint checkpoint{config};
  const std::unique_ptr<Backend> backend = make_cpu_backend(2, "auto");
  const std::unique_ptr<Context> context = backend->make_context();

  std::vector<float> tensor(TensorRole role, int64_t layer, int64_t rows, int64_t columns) {
    std::vector<float> values(static_cast<size_t>(rows * columns));
    checkpoint.read_rows(role, layer, 0, rows, values);
    return values;
  }
};

std::vector<float> unpacked(const Matrix& matrix) {
  std::vector<float> values(static_cast<size_t>(matrix.n * matrix.k));
  unpack_rows(matrix, 0, matrix.n, values.data());
  return values;
}

std::vector<float> joined(std::initializer_list<std::vector<float>> parts) {
  std::vector<float> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

bool same_bytes(const Buffer& a, const Buffer& b) {
  return a.bytes() == b.bytes() &&
         (a.empty() || std::memcmp(a.data(), b.data(), static_cast<size_t>(a.bytes())) == 0);
}

/// The test's weights are bf16 (and f16) numbers, so unquantized formats hold them exactly.
TEST_P(Weights, RowsOfALayerLieInTheirOrder) {
  using enum TensorRole;
  const int64_t hidden = config.hidden, ffn = config.ffn;
  const int64_t q_rows = config.heads * config.head_dim,
                kv_rows = config.kv_heads * config.head_dim;
  const LayerWeights w = load_layer(checkpoint, 2, format_16bit(config), *backend, *context);
  EXPECT_EQ(unpacked(w.qkv.matrix),
            joined({tensor(kQ, 2, q_rows, hidden), tensor(kK, 2, kv_rows, hidden),
                    tensor(kV, 2, kv_rows, hidden)}));
  EXPECT_EQ(unpacked(w.out.matrix), tensor(kOut, 2, hidden, q_rows));
  EXPECT_EQ(unpacked(w.down.matrix), tensor(kDown, 2, hidden, ffn));
  const std::vector<float> up = tensor(kUp, 2, ffn, hidden);
  EXPECT_EQ(unpacked(w.up.matrix), config.gated ? joined({tensor(kGate, 2, ffn, hidden), up}) : up);
  const auto norm = checkpoint.read_vector(kPostNorm, 2);
  EXPECT_TRUE(std::equal(norm.begin(), norm.end(), w.post_norm.weight.as<float>()));
  ASSERT_EQ(w.qkv.bias.empty(), !config.qkv_bias);
  if (!config.qkv_bias) return;
  const auto bias = joined({checkpoint.read_vector(kQBias, 2), checkpoint.read_vector(kKBias, 2),
                            checkpoint.read_vector(kVBias, 2)});
  ASSERT_EQ(w.qkv.bias.bytes(), static_cast<int64_t>(bias.size() * sizeof(float)));
  EXPECT_TRUE(std::equal(bias.begin(), bias.end(), w.qkv.bias.as<float>()));
}

TEST_P(Weights, StripsDoNotMatter) {
  for (Format format : {Format::kBf16, Format::kW8, Format::kW4, Format::kW3}) {
    const LayerWeights whole = load_layer(checkpoint, 0, format, *backend, *context);
    for (int64_t strip_bytes : {int64_t{1}, config.hidden * 4 * 7, config.hidden * 4 * 32}) {
      const LayerWeights w = load_layer(checkpoint, 0, format, *backend, *context, strip_bytes);
      EXPECT_TRUE(same_bytes(w.qkv.matrix.packed, whole.qkv.matrix.packed)) << name(format);
      EXPECT_TRUE(same_bytes(w.out.matrix.packed, whole.out.matrix.packed)) << name(format);
      EXPECT_TRUE(same_bytes(w.up.matrix.packed, whole.up.matrix.packed)) << name(format);
      EXPECT_TRUE(same_bytes(w.down.matrix.packed, whole.down.matrix.packed)) << name(format);
    }
  }
  const EmbeddingWeights whole = load_embedding(checkpoint, *backend, *context);
  const EmbeddingWeights cut = load_embedding(checkpoint, *backend, *context, 1000);
  EXPECT_TRUE(same_bytes(whole.table, cut.table));
  EXPECT_TRUE(same_bytes(whole.positions, cut.positions));
  EXPECT_TRUE(same_bytes(
      load_head(checkpoint, Format::kW8, *backend, *context).matrix.matrix.packed,
      load_head(checkpoint, Format::kW8, *backend, *context, 5000).matrix.matrix.packed));
}

INSTANTIATE_TEST_SUITE_P(Models, Weights, ::testing::Range<size_t>(0, 3),
                         [](const auto& test) { return small_models()[test.param].family; });

/// A checkpoint with one broken value, or one that cannot be read, in the middle of a matrix.
class BrokenCheckpoint : public RandomCheckpoint {
 public:
  enum class Fault { kNan, kUnreadable };
  BrokenCheckpoint(ModelConfig config, Fault fault)
      : RandomCheckpoint(std::move(config)), fault_(fault) {}
  void read_rows(TensorRole role, int64_t layer, int64_t begin, int64_t rows,
                 std::span<float> values) const override {
    RandomCheckpoint::read_rows(role, layer, begin, rows, values);
    if (role != TensorRole::kDown || begin > 40 || begin + rows <= 40) return;
    CHECK(fault_ != Fault::kUnreadable, Exit::kModel, "the disk is gone");
    values[static_cast<size_t>(40 - begin) * values.size() / static_cast<size_t>(rows)] = NAN;
  }

 private:
  Fault fault_;
};

TEST(WeightsErrors, FaultsInAStripAreErrorsOfTheModel) {
  const auto backend = make_cpu_backend(2, "auto");
  const auto context = backend->make_context();
  using Fault = BrokenCheckpoint::Fault;
  for (int64_t strip_bytes : {int64_t{4000}, kStripBytes}) {
    for (Fault fault : {Fault::kNan, Fault::kUnreadable}) {
      const BrokenCheckpoint checkpoint(small_llama(), fault);
      try {
        load_layer(checkpoint, 0, Format::kW4, *backend, *context, strip_bytes);
        FAIL() << "a broken matrix was loaded";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Exit::kModel);
        EXPECT_THAT(error.what(),
                    ::testing::HasSubstr(fault == Fault::kNan ? "row 40, column 0 is nan"
                                                              : "the disk is gone"));
      }
    }
  }
}

/// Where its bytes were mapped, and are gone when they are packed.
TEST(WeightsErrors, AFileThatIsCutShortIsAnErrorOfTheModel) {
  namespace fs = std::filesystem;
  const TempFolder folder;
  const fs::path from = fs::path(LLMPQ_TEST_DATA) / "layer" / "fixtures" / "llama_gqa";
  fs::copy(from, folder.path(), fs::copy_options::recursive);
  const auto backend = make_cpu_backend(2, "auto");
  const auto context = backend->make_context();
  const fs::path file = folder / "model.safetensors";
  for (const Format format : {Format::kBf16, Format::kW4}) {
    fs::copy_file(from / "model.safetensors", file, fs::copy_options::overwrite_existing);
    const auto checkpoint = open_checkpoint(folder.path());
    fs::resize_file(file, 1);
    EXPECT_ERROR(load_product({*checkpoint, 1, Product::kUp}, format, *backend, *context),
                 Exit::kModel, "model.safetensors: cannot be read from byte");
    EXPECT_ERROR(load_layer(*checkpoint, 0, format, *backend, *context), Exit::kModel, "cut short");
    EXPECT_ERROR(load_embedding(*checkpoint, *backend, *context), Exit::kModel, "cut short");
  }
}

}  // namespace
}  // namespace llmpq
