// Checkpoints of integers (GPTQ, AWQ): every folder of fixtures_stored/ gives the logits that
// transformers gives for the numbers that the integers stand for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "base/expect_error.hpp"
#include "base/file.hpp"
#include "base/temp_folder.hpp"
#include "input/checkpoint.hpp"
#include "input/model_files.hpp"
#include "kernels/cpu/pack.hpp"
#include "parity.hpp"
#include "test_model.hpp"

namespace llmpq {
namespace {

std::filesystem::path folder_of(const std::string& name) {
  return std::filesystem::path(LLMPQ_TEST_DATA) / "layer/fixtures_stored" / name;
}

struct Case {
  std::string name;
  Format format;  ///< that holds the checkpoint's numbers
};

class StoredParity : public ::testing::TestWithParam<Case> {};

TEST_P(StoredParity, LogitsAreThoseOfTheNumbersThatTheIntegersStandFor) {
  const auto& [name, format] = GetParam();
  const auto checkpoint = open_checkpoint(folder_of(name));
  const ParityExpectation expected(folder_of(name) / "expected.json");
  ASSERT_TRUE(checkpoint->stored());
  EXPECT_EQ(is_as_stored(*checkpoint, format), !is_16bit(format));
  for (const char* isa : {"plain", "auto"}) {
    Runner run(*checkpoint, {.format = format, .isa = isa});
    for (size_t p = 0; p < expected.prompts.size(); ++p) {
      const auto& prompt = expected.prompts[p];
      expect_parity(run.prefill(static_cast<int>(p), prompt, prompt.size()).back(),
                    expected.logits_last[p], "the end of prompt " + std::to_string(p));
    }
  }
}

/// Not only near: bit for bit the numbers that read_rows() gives.
TEST_P(StoredParity, PackedWeightsAreTheCheckpointsNumbers) {
  const auto& [name, format] = GetParam();
  const auto checkpoint = open_checkpoint(folder_of(name));
  const ModelConfig& c = checkpoint->config();
  const auto backend = make_cpu_backend(2, "auto");
  const auto context = backend->make_context();
  for (const int64_t strip_bytes : {int64_t{1}, kStripBytes}) {
    const LayerWeights w = load_layer(*checkpoint, 0, format, *backend, *context, strip_bytes);
    std::vector<float> got(static_cast<size_t>(c.hidden * c.ffn)), want(got.size());
    unpack_rows(w.down.matrix, 0, c.hidden, got.data());
    checkpoint->read_rows(TensorRole::kDown, 0, 0, c.hidden, want);
    EXPECT_EQ(got, want);
    EXPECT_GT(*std::max_element(want.begin(), want.end()), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Fixtures, StoredParity,
    ::testing::Values(Case{"gptq_4_bits", Format::kW4}, Case{"gptq_4_bits_rows", Format::kW4},
                      Case{"gptq_4_bits_zeros", Format::kW8}, Case{"gptq_8_bits", Format::kW8},
                      Case{"awq_4_bits", Format::kW8}, Case{"gptq_4_bits_desc_act", Format::kF16},
                      Case{"gptq_4_bits_qwen2", Format::kW4}, Case{"awq_4_bits_qwen2", Format::kW8},
                      Case{"gptq_4_bits_phi3", Format::kW4}),
    [](const auto& test) { return test.param.name; });

TEST(StoredWeights, OtherFormatsRoundTheNumbersAnew) {
  const auto checkpoint = open_checkpoint(folder_of("gptq_4_bits"));
  const auto backend = make_cpu_backend(1, "auto");
  const auto context = backend->make_context();
  for (const Format format : {Format::kW3, Format::kW8}) {
    const LayerWeights w = load_layer(*checkpoint, 0, format, *backend, *context);
    std::vector<float> got(static_cast<size_t>(w.out.matrix.n * w.out.matrix.k)), want(got.size());
    unpack_rows(w.out.matrix, 0, w.out.matrix.n, got.data());
    checkpoint->read_rows(TensorRole::kOut, 0, 0, w.out.matrix.n, want);
    double error = 0, size = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      error += (double{got[i]} - want[i]) * (double{got[i]} - want[i]);
      size += double{want[i]} * want[i];
    }
    EXPECT_GT(error, 0);
    EXPECT_LT(error, 0.1 * size);
  }
}

/// Groups of 64 in any order: no scales for groups of 128 inputs.
TEST(StoredWeights, InputsInAnyOrderHaveNoScalesOfOurs) {
  const auto checkpoint = open_checkpoint(folder_of("gptq_4_bits_desc_act"));
  EXPECT_EQ(format_of(*checkpoint->stored()), std::nullopt);
  std::vector<float> scales(2);
  EXPECT_ERROR(checkpoint->read_scales(TensorRole::kOut, 0, 0, 2, scales), Exit::kModel,
               "inputs 0 and ");
  EXPECT_ERROR(checkpoint->read_scales(TensorRole::kOut, 0, 0, 2, scales), Exit::kModel,
               "give --format");
}

/// A copy of a fixture with one tensor more at the end of its file.
void copy_with_tensor(const std::string& fixture, const std::string& name, const std::string& data,
                      const std::filesystem::path& folder) {
  std::filesystem::copy(folder_of(fixture), folder);
  const auto path = folder / "model.safetensors";
  const std::string bytes = read_file(path, int64_t{1} << 30, Exit::kModel);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  auto header = nlohmann::json::parse(bytes.substr(sizeof header_bytes, header_bytes));
  const std::string before = bytes.substr(sizeof header_bytes + header_bytes);
  header[name] = {{"dtype", "F16"},
                  {"shape", {data.size() / 2}},
                  {"data_offsets", {before.size(), before.size() + data.size()}}};
  test::write_bytes(path, test::safetensors_bytes(header.dump(), before + data));
}

TEST(StoredWeights, ABiasThatTheModelLacksMustBeZero) {
  const TempFolder folder;
  const std::string bias = "model.layers.1.mlp.down_proj.bias";
  copy_with_tensor("gptq_4_bits", bias, std::string(512, '\0'), folder / "zeros");
  EXPECT_TRUE(open_checkpoint(folder / "zeros")->stored());
  copy_with_tensor("gptq_4_bits", bias, std::string(511, '\0') + "\x3c", folder / "one");
  EXPECT_ERROR(open_checkpoint(folder / "one"), Exit::kModel, bias);
  copy_with_tensor("gptq_4_bits", "model.layers.1.mlp.other.bias", "zz", folder / "other");
  EXPECT_ERROR(open_checkpoint(folder / "other"), Exit::kModel, "has no such tensor");
}

}  // namespace
}  // namespace llmpq
