#include "input/model_config.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.hpp"
#include "base/json.hpp"
#include "input/families.hpp"
#include "input/safetensors.hpp"
#include "input/tensor_shapes.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxConfigBytes = 16 << 20;
constexpr int64_t kMostParameters = 100'000'000'000'000;  // 200 TB in 16 bits

/// Keys of generation_config.json that change which tokens are drawn or how many.
constexpr std::array<std::string_view, 14> kSamplingDefaults = {"do_sample",
                                                                "temperature",
                                                                "top_p",
                                                                "top_k",
                                                                "min_p",
                                                                "typical_p",
                                                                "repetition_penalty",
                                                                "num_beams",
                                                                "max_length",
                                                                "max_new_tokens",
                                                                "min_length",
                                                                "min_new_tokens",
                                                                "no_repeat_ngram_size",
                                                                "length_penalty"};

/// `dtype` (transformers 5) or `torch_dtype`; nothing if neither is there.
std::optional<DType> read_type(const ConfigReader& reader) {
  const auto key = reader.first_of({"dtype", "torch_dtype"});
  if (!reader.has(key)) return std::nullopt;
  std::string text = reader.text(key);
  if (text.starts_with("torch.")) text = text.substr(6);
  if (text == "bfloat16") return DType::kBf16;
  if (text == "float16") return DType::kF16;
  if (text == "float32") return DType::kF32;
  reader.refuse(key, "bfloat16, float16 or float32");
}

/// The ids that end a text: one number or a list; nothing if the key is absent.
std::optional<std::vector<int32_t>> read_eos(const ConfigReader& reader, int64_t vocab) {
  constexpr std::string_view kKey = "eos_token_id";
  if (!reader.has(kKey)) return std::nullopt;
  const json& value = reader.at(kKey);
  const json list = value.is_array() ? value : json::array({value});
  std::vector<int32_t> ids;
  for (const auto& id : list) {
    const bool fits = id.is_number_unsigned() && id.get<uint64_t>() < static_cast<uint64_t>(vocab);
    if (!fits) reader.refuse(kKey, fmt::format("token ids from 0 to {}, one or a list", vocab - 1));
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

/// Of GPTQ and AWQ; others are refused.
StoredWeights read_stored(const ConfigReader& reader) {
  StoredWeights stored;
  const std::string method = reader.text("quant_method");
  if (method != "gptq" && method != "awq")
    reader.refuse("quant_method",
                  "gptq or awq; take the original model, it is quantized while it loads");
  const bool awq = method == "awq";
  stored.method = awq ? StoredMethod::kAwq : StoredMethod::kGptq;
  stored.bits = static_cast<int>(reader.size("bits", 64));
  if (stored.bits != 4 && (awq || stored.bits != 8)) reader.refuse("bits", awq ? "4" : "4 or 8");
  const double group = reader.number_or("group_size", -1, 1e9, kGroup);
  stored.group = static_cast<int64_t>(group);
  if (group != static_cast<double>(stored.group) || stored.group == 0)
    reader.refuse("group_size", "a number of inputs, or -1 for all");
  if (awq) {
    stored.symmetric = false;
    const std::string version = reader.text_or("version", "gemm");
    if (version != "gemm" && version != "GEMM") reader.refuse("version", "gemm");
    if (!reader.flag_or("zero_point", true)) reader.refuse("zero_point", "true");
    return stored;
  }
  stored.symmetric = reader.flag_or("sym", true);
  stored.by_activity = reader.flag_or("desc_act", false);
  const std::string form = reader.text_or("checkpoint_format", "gptq");
  if (form != "gptq" && form != "gptq_v2") reader.refuse("checkpoint_format", "gptq or gptq_v2");
  stored.zeros_less_one = form == "gptq";
  return stored;
}

void read_generation(const ConfigReader& reader, ModelConfig& config) {
  if (auto ids = read_eos(reader, config.vocab)) config.eos_token_ids = std::move(*ids);
  for (const auto key : kSamplingDefaults)
    if (reader.has(key))
      config.ignored_generation_defaults.push_back(
          fmt::format("{} {}", key, dump_json(reader.at(key))));
}

ModelConfig read_config(const ConfigReader& reader) {
  const Family& family = family_of(reader);
  ModelConfig config;
  config.family = family.name;
  family.read_config(reader, config);
  if (reader.has("quantization_config"))
    config.stored = read_stored(reader.object("quantization_config"));
  const int64_t parameters = parameter_count(config);
  CHECK(parameters <= kMostParameters, Exit::kModel,
        "{}: its sizes make {} parameters, more than any machine holds; take the config.json that "
        "came with the model",
        reader.what(), parameters);
  if (auto ids = read_eos(reader, config.vocab)) config.eos_token_ids = std::move(*ids);
  return config;
}

/// The type of the weights where config.json does not say it: that of the first matrix.
DType stored_type(const fs::path& folder) {
  if (!SafetensorsFolder::has_files(folder)) return DType::kF32;
  const SafetensorsFolder files(folder);
  for (const auto& [name, place] : files.tensors())
    if (place.tensor->shape.size() == 2 && place.tensor->type) return *place.tensor->type;
  return DType::kF32;
}

}  // namespace

ModelConfig parse_model_config(std::string_view config_json, std::string_view generation_json,
                               std::string_view file_name) {
  const std::string what(file_name);
  const json object = parse_json_unique(config_json, what, Exit::kModel);
  const ConfigReader reader(object, what);
  ModelConfig config = read_config(reader);
  config.checkpoint_type = read_type(reader).value_or(DType::kF32);
  if (!generation_json.empty()) {
    const std::string beside = (fs::path(what).parent_path() / "generation_config.json").string();
    const json generation = parse_json_unique(generation_json, beside, Exit::kModel);
    read_generation(ConfigReader(generation, beside), config);
  }
  return config;
}

ModelConfig load_model_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  const fs::path beside = folder / "generation_config.json";
  std::error_code ignored;
  const bool is_cached = fs::is_directory(folder / "snapshots", ignored);
  CHECK(
      fs::exists(path, ignored), Exit::kModel,
      "{}: not there; a model is a folder with config.json, tokenizer.json and safetensors files{}",
      path.string(), is_cached ? ", which in the hub's cache is one of those in snapshots" : "");
  const std::string text = read_file(path, kMaxConfigBytes, Exit::kModel);
  const std::string generation =
      fs::exists(beside, ignored) ? read_file(beside, kMaxConfigBytes, Exit::kModel) : "";
  ModelConfig config = parse_model_config(text, generation, path.string());
  const json object = parse_json(text, path.string(), Exit::kModel);
  if (!read_type(ConfigReader(object, path.string()))) config.checkpoint_type = stored_type(folder);
  return config;
}

}  // namespace llmpq
