// quantization_config: what it says of a checkpoint of integers, and which of our formats holds
// them.
#include "input/stored_weights.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "input/model_config.hpp"
#include "model_files.hpp"

namespace llmpq::test {
namespace {

using nlohmann::json;

json llama() {
  return json::parse(R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
      "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
      "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 128,
      "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "hidden_act": "silu",
      "torch_dtype": "float16"})");
}

ModelConfig parse(const json& config) {
  return parse_model_config(config.dump(), "", "config.json");
}

TEST(StoredWeights, TheFormatThatHoldsThem) {
  json config = llama();
  EXPECT_FALSE(parse(config).stored);
  auto& stored = config["quantization_config"];
  stored = {{"quant_method", "gptq"}, {"bits", 4}, {"group_size", 128}, {"sym", true}};
  EXPECT_EQ(describe(*parse(config).stored), "GPTQ, 4 bits, groups of 128, symmetric");
  EXPECT_TRUE(parse(config).stored->zeros_less_one);
  EXPECT_EQ(format_of(*parse(config).stored), Format::kW4);
  stored["sym"] = false;
  EXPECT_EQ(format_of(*parse(config).stored), Format::kW8);
  stored["bits"] = 8;
  EXPECT_EQ(format_of(*parse(config).stored), std::nullopt);
  EXPECT_EQ(why_none(*parse(config).stored),
            "8 bits less a zero point of 8 bits have no place in w8");
  stored = {{"quant_method", "gptq"},
            {"bits", 8},
            {"group_size", -1},
            {"desc_act", true},
            {"checkpoint_format", "gptq_v2"}};
  EXPECT_EQ(describe(*parse(config).stored), "GPTQ, 8 bits, one group a row, symmetric, desc_act");
  EXPECT_EQ(format_of(*parse(config).stored), Format::kW8);
  EXPECT_FALSE(parse(config).stored->zeros_less_one);
  stored["group_size"] = 64;
  EXPECT_EQ(format_of(*parse(config).stored), std::nullopt);
  EXPECT_THAT(why_none(*parse(config).stored), testing::HasSubstr("groups of 64"));
  stored = {{"quant_method", "awq"},
            {"bits", 4},
            {"group_size", 128},
            {"version", "gemm"},
            {"zero_point", true}};
  EXPECT_EQ(describe(*parse(config).stored), "AWQ, 4 bits, groups of 128, with zero points");
  EXPECT_EQ(format_of(*parse(config).stored), Format::kW8);
}

TEST(StoredWeights, OtherMethodsAreRefused) {
  json config = llama();
  auto& stored = config["quantization_config"];
  const auto refused_with = [&](const std::string& key, const json& value,
                                const std::string& sentence) {
    const json before = stored;
    stored[key] = value;
    expect_error([&] { parse(config); }, Exit::kModel, "quantization_config",
                 key + ": want " + sentence);
    stored = before;
  };
  stored = {{"bits", 4}, {"quant_method", "gptq"}};
  refused_with("quant_method", "bitsandbytes", "gptq or awq; take the original model");
  refused_with("bits", 3, "4 or 8, found 3");
  refused_with("group_size", 0, "a number of inputs, or -1 for all");
  refused_with("group_size", 0.5, "a number of inputs, or -1 for all");
  refused_with("checkpoint_format", "marlin", "gptq or gptq_v2");
  refused_with("sym", 1, "true or false");
  stored["quant_method"] = "awq";
  refused_with("bits", 8, "4, found 8");
  refused_with("version", "gemv", "gemm, found");
  refused_with("zero_point", false, "true");
}

}  // namespace
}  // namespace llmpq::test
