#include "input/model_config.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/temp_folder.hpp"
#include "input/model_files.hpp"

namespace llmpq {
namespace {

using nlohmann::json;
using test::expect_error;

ModelConfig parse(const json& config, const std::string& generation = "") {
  return parse_model_config(config.dump(), generation, "m/config.json");
}

template <typename... Parts>
void expect_refused(const json& config, const Parts&... parts) {
  expect_error([&] { parse(config); }, Exit::kModel, "m/config.json", parts...);
}

/// Llama 3.1 8B as the hub has it.
json llama() {
  return json::parse(R"({
    "architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 128000,
    "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu", "hidden_size": 4096,
    "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": false,
    "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
    "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    "vocab_size": 128256})");
}

json mistral() {
  json config = llama();
  config.update({{"architectures", {"MistralForCausalLM"}}, {"model_type", "mistral"}});
  config["rope_scaling"] = nullptr;
  config["sliding_window"] = 4096;
  return config;
}

json qwen2() {
  json config = llama();
  config.update({{"architectures", {"Qwen2ForCausalLM"}},
                 {"model_type", "qwen2"},
                 {"sliding_window", 512},
                 {"use_sliding_window", false},
                 {"max_window_layers", 28}});
  config.erase("rope_scaling");
  return config;
}

/// OPT-1.3b's.
json opt() {
  return json::parse(R"({
    "architectures": ["OPTForCausalLM"], "activation_function": "relu", "eos_token_id": 2,
    "do_layer_norm_before": true, "ffn_dim": 8192, "hidden_size": 2048,
    "max_position_embeddings": 2048, "model_type": "opt", "num_attention_heads": 32,
    "num_hidden_layers": 24, "torch_dtype": "float16", "vocab_size": 50272,
    "word_embed_proj_dim": 2048})");
}

/// BLOOM-560m's, with its old names for sizes.
json bloom() {
  return json::parse(R"({
    "architectures": ["BloomForCausalLM"], "apply_residual_connection_post_layernorm": false,
    "eos_token_id": 2, "layer_norm_epsilon": 1e-05, "masked_softmax_fusion": true,
    "model_type": "bloom", "n_embed": 1024, "n_layer": 24, "num_attention_heads": 16,
    "seq_length": 2048, "torch_dtype": "float16", "vocab_size": 250880})");
}

TEST(ModelConfig, ReadsLlama) {
  const ModelConfig c = parse(llama());
  EXPECT_EQ(c.family, "llama");
  EXPECT_EQ(c.layers, 32);
  EXPECT_EQ(c.hidden, 4096);
  EXPECT_EQ(c.ffn, 14336);
  EXPECT_EQ(c.heads, 32);
  EXPECT_EQ(c.kv_heads, 8);
  EXPECT_EQ(c.head_dim, 128);
  EXPECT_EQ(c.rotary_dim, 128);
  EXPECT_EQ(c.vocab, 128256);
  EXPECT_EQ(c.max_positions, 131072);
  EXPECT_EQ(c.norm, NormArgs::Kind::kRms);
  EXPECT_FLOAT_EQ(c.norm_eps, 1e-5f);
  EXPECT_EQ(c.activation, ActivationArgs::Kind::kSilu);
  EXPECT_TRUE(c.gated);
  EXPECT_EQ(c.position, PositionKind::kRope);
  EXPECT_EQ(c.rope_theta, 500000);
  EXPECT_EQ(c.rope_scaling.kind, RopeScaling::Kind::kLlama3);
  EXPECT_EQ(c.rope_scaling.factor, 8);
  EXPECT_EQ(c.rope_scaling.low_freq_factor, 1);
  EXPECT_EQ(c.rope_scaling.high_freq_factor, 4);
  EXPECT_EQ(c.rope_scaling.original_max_positions, 8192);
  EXPECT_FALSE(c.qkv_bias || c.out_bias || c.ffn_bias || c.norm_bias || c.tied_head);
  EXPECT_EQ(c.window, std::vector<int64_t>(32, 0));
  EXPECT_EQ(c.checkpoint_type, DType::kBf16);
  EXPECT_EQ(c.eos_token_ids, (std::vector<int32_t>{128001, 128008, 128009}));
}

TEST(ModelConfig, ReadsTransformers5sForm) {
  json config = llama();
  config.erase("torch_dtype");
  config.erase("rope_theta");
  config["rope_parameters"] = config["rope_scaling"];
  config["rope_parameters"]["rope_theta"] = 500000.0;
  config.erase("rope_scaling");
  config["dtype"] = "float16";
  const ModelConfig c = parse(config);
  EXPECT_EQ(c.rope_theta, 500000);
  EXPECT_EQ(c.rope_scaling.kind, RopeScaling::Kind::kLlama3);
  EXPECT_EQ(c.rope_scaling.original_max_positions, 8192);
  EXPECT_EQ(c.checkpoint_type, DType::kF16);
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 1e6}};
  EXPECT_EQ(parse(config).rope_theta, 1e6);
  EXPECT_EQ(parse(config).rope_scaling.kind, RopeScaling::Kind::kNone);
}

TEST(ModelConfig, ReadsTheOlderNameOfTheRopeType) {
  json config = llama();
  config["rope_scaling"] = {{"type", "linear"}, {"factor", 4}};
  EXPECT_EQ(parse(config).rope_scaling.kind, RopeScaling::Kind::kLinear);
  EXPECT_EQ(parse(config).rope_scaling.factor, 4);
}

TEST(ModelConfig, HeadDimNeedNotBeHiddenByHeads) {
  json config = llama();
  config["num_attention_heads"] = 30;
  config["num_key_value_heads"] = 5;
  expect_refused(config, "num_attention_heads: want a divisor of hidden_size (4096), found 30");
  config["head_dim"] = 96;
  EXPECT_EQ(parse(config).head_dim, 96);
  EXPECT_EQ(parse(config).qkv_rows(), (30 + 2 * 5) * 96);
}

TEST(ModelConfig, BiasesOfLlama) {
  json config = llama();
  config["attention_bias"] = true;
  EXPECT_TRUE(parse(config).qkv_bias && parse(config).out_bias && !parse(config).ffn_bias);
  config["mlp_bias"] = true;
  EXPECT_TRUE(parse(config).ffn_bias);
}

TEST(ModelConfig, WindowOfMistral) {
  json config = mistral();
  EXPECT_EQ(parse(config).window, std::vector<int64_t>(32, 4096));
  config["sliding_window"] = nullptr;
  EXPECT_EQ(parse(config).window, std::vector<int64_t>(32, 0));
  config.erase("sliding_window");
  EXPECT_EQ(parse(config).window, std::vector<int64_t>(32, 4096));
  config["sliding_window"] = -4;
  expect_refused(config, "sliding_window: want a whole number from 1", "found -4");
}

TEST(ModelConfig, WindowOfQwen2) {
  json config = qwen2();
  EXPECT_TRUE(parse(config).qkv_bias);
  EXPECT_FALSE(parse(config).out_bias);
  EXPECT_EQ(parse(config).window, std::vector<int64_t>(32, 0));
  config["use_sliding_window"] = true;
  std::vector<int64_t> window(32, 0);
  std::fill(window.begin() + 28, window.end(), 512);
  EXPECT_EQ(parse(config).window, window);
  config["max_window_layers"] = 0;
  EXPECT_EQ(parse(config).window, std::vector<int64_t>(32, 512));
  config["layer_types"] = std::vector<std::string>(32, "full_attention");
  config["layer_types"][3] = "sliding_attention";
  window.assign(32, 0);
  window[3] = 512;
  EXPECT_EQ(parse(config).window, window);
  config["use_sliding_window"] = false;
  expect_refused(config, "layer 3 has sliding_attention, but no sliding_window is in use");
  config["layer_types"][3] = "chunked_attention";
  expect_refused(config, "layer_types: want full_attention or sliding_attention");
  config["layer_types"] = {"full_attention"};
  expect_refused(config, "layer_types: want an array of 32 strings");
}

TEST(ModelConfig, ReadsOpt) {
  const ModelConfig c = parse(opt());
  EXPECT_EQ(c.family, "opt");
  EXPECT_EQ(c.ffn, 8192);
  EXPECT_EQ(c.head_dim, 64);
  EXPECT_EQ(c.kv_heads, 32);
  EXPECT_EQ(c.norm, NormArgs::Kind::kLayer);
  EXPECT_FLOAT_EQ(c.norm_eps, 1e-5f);
  EXPECT_EQ(c.activation, ActivationArgs::Kind::kRelu);
  EXPECT_EQ(c.position, PositionKind::kLearned);
  EXPECT_EQ(c.position_offset, 2);
  EXPECT_TRUE(c.qkv_bias && c.out_bias && c.ffn_bias && c.norm_bias && c.tied_head && !c.gated);
  EXPECT_EQ(c.checkpoint_type, DType::kF16);
}

TEST(ModelConfig, RefusesWhatOptMayHaveAndWeHaveNot) {
  const auto with = [](const char* key, const json& value) {
    json config = opt();
    config[key] = value;
    return config;
  };
  expect_refused(with("word_embed_proj_dim", 2049),
                 "word_embed_proj_dim: want at most hidden_size (2048)");
  EXPECT_EQ(parse(with("word_embed_proj_dim", 512)).embedding_columns(), 512);
  EXPECT_EQ(parse(with("do_layer_norm_before", false)).norm_place, NormPlace::kAfter);
  EXPECT_FALSE(parse(with("do_layer_norm_before", false)).final_norm);
  EXPECT_FALSE(parse(with("_remove_final_layer_norm", true)).final_norm);
  expect_refused(with("layer_norm_elementwise_affine", false), "layer_norm_elementwise_affine");
  expect_refused(with("activation_function", "tanh"), "want silu, relu, gelu", "\"tanh\"");
  EXPECT_FALSE(parse(with("enable_bias", false)).qkv_bias);
}

TEST(ModelConfig, ReadsBloom) {
  const ModelConfig c = parse(bloom());
  EXPECT_EQ(c.family, "bloom");
  EXPECT_EQ(c.hidden, 1024);
  EXPECT_EQ(c.ffn, 4096);
  EXPECT_EQ(c.layers, 24);
  EXPECT_EQ(c.heads, 16);
  EXPECT_EQ(c.head_dim, 64);
  EXPECT_EQ(c.activation, ActivationArgs::Kind::kGeluTanh);
  EXPECT_EQ(c.position, PositionKind::kAlibi);
  EXPECT_TRUE(c.embedding_norm && c.norm_bias && c.qkv_bias && c.tied_head && !c.gated);
  json config = bloom();
  config["apply_residual_connection_post_layernorm"] = true;
  expect_refused(config, "apply_residual_connection_post_layernorm: want false", "found true");
}

TEST(ModelConfig, RefusesSizesThatAreNegativeZeroOrAbsurd) {
  for (const char* key :
       {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "vocab_size", "max_position_embeddings"}) {
    for (const json& value : {json(0), json(-1), json(INT64_MIN), json(INT64_MAX), json(UINT64_MAX),
                              json(1e300), json(2.5), json("48"), json({1})}) {
      json config = llama();
      config[key] = value;
      expect_refused(config, std::string(key) + ": want a whole number from 1 to",
                     "found " + value.dump());
    }
    json config = llama();
    config.erase(key);
    if (std::string_view(key) == "num_key_value_heads") {
      EXPECT_EQ(parse(config).kv_heads, 32);
    } else {
      expect_refused(config, std::string(key) + ": missing");
    }
  }
}

TEST(ModelConfig, RefusesSizesThatAreAbsurdTogether) {
  json config = llama();
  config.update({{"hidden_size", 1 << 20}, {"num_hidden_layers", 10000}});
  expect_refused(config, "parameters, more than any machine holds");
  config.update({{"num_attention_heads", 65536}, {"head_dim", 16384}});
  expect_refused(config, "num_attention_heads times head_dim: want at most 4194304");
}

TEST(ModelConfig, RefusesHeadsThatDoNotFit) {
  json config = llama();
  config["num_key_value_heads"] = 5;
  expect_refused(config, "num_key_value_heads: want a divisor of the 32 heads, found 5");
  config = llama();
  config["head_dim"] = 33;
  expect_refused(config, "head_dim: want an even number", "found 33");
}

TEST(ModelConfig, RefusesWrongTypesWithKeyFoundAndWanted) {
  const auto with = [](const char* key, const json& value) {
    json config = llama();
    config[key] = value;
    return config;
  };
  expect_refused(with("tie_word_embeddings", 1),
                 "tie_word_embeddings: want true or false, found 1");
  expect_refused(with("hidden_act", 3), "hidden_act: want a string, found 3");
  expect_refused(with("hidden_act", "xielu"), "hidden_act: want silu, relu", "\"xielu\"");
  expect_refused(with("rms_norm_eps", "1e-5"), "rms_norm_eps: want a number", "\"1e-5\"");
  expect_refused(with("rms_norm_eps", -1), "rms_norm_eps", "found -1");
  expect_refused(with("rope_theta", 0), "rope_theta: want a number");
  expect_refused(with("rope_scaling", 8), "rope_scaling: want an object, found 8");
  expect_refused(with("torch_dtype", "float64"),
                 "torch_dtype: want bfloat16, float16 or float32, found \"float64\"");
  expect_refused(with("eos_token_id", -1), "eos_token_id: want token ids from 0 to 128255");
  expect_refused(with("eos_token_id", {1, 128256}), "eos_token_id");
  expect_refused(with("architectures", "LlamaForCausalLM"), "architectures: want an array");
  expect_refused(with("partial_rotary_factor", 0.5), "partial_rotary_factor: want 1");
  EXPECT_NO_THROW(parse(with("tie_word_embeddings", nullptr)));
}

TEST(ModelConfig, RefusesRopeScalingItDoesNotKnow) {
  json config = llama();
  config["rope_scaling"]["rope_type"] = "dynamic";
  expect_refused(config,
                 "rope_scaling: rope_type: want default, linear, llama3, yarn or longrope, found "
                 "\"dynamic\"");
  config = llama();
  config["rope_scaling"].erase("factor");
  expect_refused(config, "rope_scaling: factor: missing");
  config = llama();
  config["rope_scaling"]["low_freq_factor"] = 4;
  expect_refused(config, "high_freq_factor: want more than low_freq_factor (4)");
  config["rope_scaling"] = {{"full_attention", {{"rope_type", "default"}}}};
  expect_refused(config, "rope_type: missing");
}

TEST(ModelConfig, AnUnknownArchitectureNamesTheSupportedOnes) {
  json config = llama();
  config["architectures"] = {"MambaForCausalLM"};
  expect_refused(config,
                 "architectures: want one of LlamaForCausalLM, MistralForCausalLM, "
                 "Qwen2ForCausalLM, ",
                 "BloomForCausalLM", "found [\"MambaForCausalLM\"]");
  config.erase("architectures");
  EXPECT_EQ(parse(config).family, "llama");
  config["model_type"] = "mamba";
  expect_refused(config, "model_type: want one of llama, mistral, qwen2, ");
  config.erase("model_type");
  expect_refused(config, "model_type: missing");
  config = llama();
  config["model_type"] = "opt";
  expect_refused(config, "model_type: want llama for LlamaForCausalLM, found \"opt\"");
}

TEST(ModelConfig, RefusesWhatIsNoObject) {
  expect_error([] { parse_model_config("", "", "c.json"); }, Exit::kModel, "c.json: not JSON");
  expect_error([] { parse_model_config("[1]", "", "c.json"); }, Exit::kModel,
               "c.json: want a JSON object, found [1]");
  expect_error([] { parse_model_config(R"({"a":1,"a":2})", "", "c.json"); }, Exit::kModel,
               "'a' stands there twice");
  const std::string deep = std::string(100000, '[');
  expect_error([&] { parse_model_config(deep, "", "c.json"); }, Exit::kModel, "nested deeper");
}

TEST(ModelConfig, EndingTokensComeFromTheGenerationConfigFirst) {
  EXPECT_EQ(parse(llama(), R"({"eos_token_id": [3, 5]})").eos_token_ids,
            (std::vector<int32_t>{3, 5}));
  EXPECT_EQ(parse(llama(), R"({"eos_token_id": 9})").eos_token_ids, (std::vector<int32_t>{9}));
  EXPECT_EQ(parse(llama(), R"({"eos_token_id": null})").eos_token_ids.size(), 3u);
  json config = llama();
  config.erase("eos_token_id");
  EXPECT_TRUE(parse(config).eos_token_ids.empty());
  expect_error([&] { parse(config, R"({"eos_token_id": "</s>"})"); }, Exit::kModel,
               "m/generation_config.json: eos_token_id: want token ids");
}

TEST(ModelConfig, SamplingDefaultsAreListedAndNotApplied) {
  const auto c = parse(llama(), R"({"do_sample": true, "temperature": 0.6, "top_p": 0.9,
                                    "bos_token_id": 1, "top_k": null})");
  EXPECT_THAT(c.ignored_generation_defaults,
              testing::ElementsAre("do_sample true", "temperature 0.6", "top_p 0.9"));
}

TEST(ModelConfig, LoadsBothFilesOfAFolder) {
  const TempFolder folder;
  expect_error([&] { load_model_config(folder.path()); }, Exit::kModel, "config.json: not there");
  test::write_bytes(folder / "config.json", llama().dump());
  EXPECT_EQ(load_model_config(folder.path()).eos_token_ids.size(), 3u);
  test::write_bytes(folder / "generation_config.json", R"({"eos_token_id": 4})");
  EXPECT_EQ(load_model_config(folder.path()).eos_token_ids, (std::vector<int32_t>{4}));
}

}  // namespace
}  // namespace llmpq
