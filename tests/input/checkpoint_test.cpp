#include "input/checkpoint.hpp"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/temp_folder.hpp"
#include "input/model_files.hpp"
#include "input/safetensors.hpp"
#include "input/tensor_places.hpp"
#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::expect_error;
using test::safetensors_bytes;
using test::write_bytes;

fs::path fixture(const std::string& name) {
  return fs::path(LLMPQ_TEST_DATA) / "layer" / "fixtures" / name;
}

std::vector<fs::path> all_fixtures() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(fixture("")))
    if (entry.is_directory()) folders.push_back(entry.path());
  return folders;
}

std::vector<float> read_all(const Checkpoint& checkpoint, TensorRole role, int64_t layer) {
  const auto shape = shape_of(checkpoint.config(), role).value();
  std::vector<float> values(static_cast<size_t>(shape.rows * shape.columns));
  checkpoint.read_rows(role, layer, 0, shape.rows, values);
  return values;
}

/// A copy of a fixture that a test damages: its config as JSON, its tensors as a header and data.
struct Damaged {
  explicit Damaged(const std::string& name) {
    fs::copy(fixture(name), folder.path());
    config = parse_json(read_file(folder / "config.json", 1 << 20, Exit::kModel), "", Exit::kModel);
    const std::string bytes = read_file(folder / "model.safetensors", 1 << 24, Exit::kModel);
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    header = parse_json(bytes.substr(8, length), "", Exit::kModel);
    data = bytes.substr(8 + length);
  }
  std::unique_ptr<Checkpoint> open() {
    write_bytes(folder / "config.json", config.dump());
    write_bytes(folder / "model.safetensors", safetensors_bytes(header.dump(), data));
    return open_checkpoint(folder.path());
  }
  template <typename... Parts>
  void expect_refused(const Parts&... parts) {
    expect_error([&] { open(); }, Exit::kModel, parts...);
  }

  TempFolder folder;
  json config, header;
  std::string data;
};

TEST(Checkpoint, OpensEveryParityFixture) {
  const auto folders = all_fixtures();
  ASSERT_GE(folders.size(), 12u);
  for (const auto& folder : folders) {
    SCOPED_TRACE(folder.filename().string());
    const auto checkpoint = open_checkpoint(folder);
    const ModelConfig& config = checkpoint->config();
    for (const TensorRole role : all_tensor_roles()) {
      const auto shape = shape_of(config, role);
      if (!shape) continue;
      for (int64_t layer = 0; layer < (shape->per_layer ? config.layers : 1); ++layer) {
        double square = 0;
        const auto values = read_all(*checkpoint, role, layer);
        for (const float value : values) square += value * value;
        EXPECT_GT(square, 0) << name(role) << " " << layer;
        EXPECT_LT(square / static_cast<double>(values.size()), 6) << name(role) << " " << layer;
      }
    }
  }
}

TEST(Checkpoint, ReadsRowsAsTheyStandInTheFile) {
  const auto checkpoint = open_checkpoint(fixture("llama_sharded_biases"));
  const SafetensorsFolder files(fixture("llama_sharded_biases"));
  EXPECT_EQ(files.files().size(), 3u);
  std::vector<float> wanted(3 * 48), found(3 * 48);
  read_elements(files.tensors().at("model.layers.2.self_attn.v_proj.weight"), 5 * 48, wanted);
  checkpoint->read_rows(TensorRole::kV, 2, 5, 3, found);
  EXPECT_EQ(found, wanted);
}

/// Of all families: what lies in memory is what is read, and where it lies.
TEST(Checkpoint, RowsThatLieInMemoryAreThoseThatAreRead) {
  int64_t found = 0, missing = 0;
  for (const fs::path& folder : all_fixtures()) {
    const auto checkpoint = open_checkpoint(folder);
    for (const TensorRole role : all_tensor_roles()) {
      const auto shape = shape_of(checkpoint->config(), role);
      if (!shape || shape->rows < 3) continue;
      const auto there = checkpoint->rows_in_memory(role, 0, 1, 2);
      if (!there) {
        ++missing;
        continue;
      }
      ++found;
      std::vector<float> wanted(static_cast<size_t>(2 * shape->columns)), values(wanted.size());
      checkpoint->read_rows(role, 0, 1, 2, wanted);
      best_kernels().widen(there->type, there->numbers, std::ssize(values), values.data());
      EXPECT_EQ(values, wanted) << folder << ", " << name(role);
    }
  }
  EXPECT_GT(found, 0);
  EXPECT_GT(missing, 0) << "GPT-2's matrices are stored the other way round";
}

TEST(Checkpoint, SplitsFusedRowsOfEachHead) {
  constexpr int64_t kHeads = 6, kHeadDim = 8, kHidden = 48;
  const auto checkpoint = open_checkpoint(fixture("bloom_6_heads"));
  const SafetensorsFolder files(fixture("bloom_6_heads"));
  std::vector<float> fused(3 * kHidden * kHidden), fused_bias(3 * kHidden);
  read_elements(files.tensors().at("h.1.self_attention.query_key_value.weight"), 0, fused);
  read_elements(files.tensors().at("h.1.self_attention.query_key_value.bias"), 0, fused_bias);
  const TensorRole roles[] = {TensorRole::kQ, TensorRole::kK, TensorRole::kV};
  const TensorRole biases[] = {TensorRole::kQBias, TensorRole::kKBias, TensorRole::kVBias};
  for (int64_t part = 0; part < 3; ++part) {
    // An odd range, so that it begins and ends inside heads.
    constexpr int64_t kBegin = 3, kRows = 41;
    std::vector<float> rows(kRows * kHidden);
    checkpoint->read_rows(roles[part], 1, kBegin, kRows, rows);
    const auto bias = checkpoint->read_vector(biases[part], 1);
    for (int64_t i = 0; i < kRows; ++i) {
      const int64_t head = (kBegin + i) / kHeadDim, in_head = (kBegin + i) % kHeadDim;
      const int64_t row = (head * 3 + part) * kHeadDim + in_head;
      ASSERT_LT(head, kHeads);
      EXPECT_EQ(bias[kBegin + i], fused_bias[row]) << part << " " << i;
      for (int64_t j = 0; j < kHidden; ++j)
        ASSERT_EQ(rows[i * kHidden + j], fused[row * kHidden + j]) << part << " " << i;
    }
  }
}

TEST(Checkpoint, ATiedHeadIsTheEmbedding) {
  const auto tied = open_checkpoint(fixture("qwen2"));
  EXPECT_TRUE(tied->config().tied_head);
  EXPECT_EQ(read_all(*tied, TensorRole::kHead, 0), read_all(*tied, TensorRole::kEmbedding, 0));
  const auto untied = open_checkpoint(fixture("llama_gqa"));
  EXPECT_NE(read_all(*untied, TensorRole::kHead, 0), read_all(*untied, TensorRole::kEmbedding, 0));
}

TEST(Checkpoint, ATiedHeadThatStandsThereMustBeTheEmbedding) {
  Damaged model("qwen2");
  const auto place = model.header["model.embed_tokens.weight"]["data_offsets"];
  const size_t begin = place[0], bytes = static_cast<size_t>(place[1]) - begin;
  const size_t end = model.data.size();
  model.header["lm_head.weight"] = model.header["model.embed_tokens.weight"];
  model.header["lm_head.weight"]["data_offsets"] = {end, end + bytes};
  model.data += model.data.substr(begin, bytes);
  EXPECT_TRUE(model.open()->config().tied_head);
  std::reverse(model.data.begin() + static_cast<std::ptrdiff_t>(end), model.data.end());
  model.expect_refused("lm_head.weight: is not the embedding", "\"tie_word_embeddings\": false");
  model.config["tie_word_embeddings"] = false;
  EXPECT_FALSE(model.open()->config().tied_head);
}

TEST(Checkpoint, RefusesRequestsThatMakeNoSense) {
  const auto checkpoint = open_checkpoint(fixture("llama_gqa"));
  std::vector<float> row(48);
  const auto read = [&](TensorRole role, int64_t layer, int64_t begin, int64_t rows) {
    return [&, role, layer, begin, rows] { checkpoint->read_rows(role, layer, begin, rows, row); };
  };
  EXPECT_NO_THROW(read(TensorRole::kQ, 2, 47, 1)());
  expect_error(read(TensorRole::kQBias, 0, 0, 1), Exit::kModel, "q_bias", "no such tensor");
  expect_error(read(TensorRole::kQ, 3, 0, 1), Exit::kInternal, "layer 3 of 3");
  expect_error(read(TensorRole::kQ, -1, 0, 1), Exit::kInternal, "layer -1");
  expect_error(read(TensorRole::kQ, 0, 48, 1), Exit::kInternal, "it has 48");
  expect_error(read(TensorRole::kQ, 0, INT64_MAX, 1), Exit::kInternal, "it has 48");
  expect_error(read(TensorRole::kQ, 0, 0, 2), Exit::kInternal, "room for 48 values, want 96");
}

TEST(Checkpoint, NamesATensorOfAnotherShape) {
  Damaged model("llama_gqa");
  model.header["model.layers.1.self_attn.q_proj.weight"]["shape"] = {24, 96};
  model.expect_refused(
      "model.safetensors: model.layers.1.self_attn.q_proj.weight: want [48, 48], "
      "file has [24, 96]");
}

TEST(Checkpoint, NamesATensorOfAnotherType) {
  Damaged model("llama_gqa");
  model.header["model.norm.weight"]["dtype"] = "I16";
  model.expect_refused("model.norm.weight: want bf16, f16 or f32 [48], file has I16 [48]");
}

TEST(Checkpoint, NamesATensorThatIsInNoFile) {
  Damaged model("llama_gqa");
  model.header.erase("model.layers.2.mlp.up_proj.weight");
  model.expect_refused("model.layers.2.mlp.up_proj.weight: in none of the model's files",
                       "[80, 48]");
}

TEST(Checkpoint, NamesATensorThatTheModelDoesNotHave) {
  Damaged model("llama_gqa");
  model.config["num_hidden_layers"] = 2;
  model.expect_refused("model.layers.2.", "a llama model of 2 layers has no such tensor");
}

TEST(Checkpoint, BiasesThatTheConfigDoesNotMentionAreNotLeftOut) {
  Damaged model("qwen2");
  model.config["architectures"] = {"LlamaForCausalLM"};
  model.config["model_type"] = "llama";
  model.expect_refused("self_attn.k_proj.bias", "no such tensor");
}

TEST(Checkpoint, NamesATruncatedFile) {
  Damaged model("llama_gqa");
  model.data.resize(model.data.size() - 1);
  model.expect_refused("model.safetensors: truncated", "download it again");
}

TEST(Checkpoint, NamesOverlappingTensors) {
  Damaged model("llama_gqa");
  model.header["model.layers.0.self_attn.k_proj.weight"]["data_offsets"] =
      model.header["model.layers.0.self_attn.v_proj.weight"]["data_offsets"];
  model.expect_refused("model.layers.0.self_attn.k_proj.weight",
                       "model.layers.0.self_attn.v_proj.weight", "overlap");
}

TEST(Checkpoint, RefusesATensorWithAndWithoutPrefix) {
  Damaged model("llama_gqa");
  model.header["norm.weight"] = model.header["model.norm.weight"];
  model.header["norm.weight"]["data_offsets"] = {model.data.size(), model.data.size() + 96};
  model.data += std::string(96, '\0');
  model.expect_refused("model.norm.weight and norm.weight are the same tensor");
}

TEST(Checkpoint, NamesAMissingConfigAndMissingWeights) {
  const TempFolder folder;
  expect_error([&] { open_checkpoint(folder.path()); }, Exit::kModel, "config.json: not there");
  fs::create_directory(folder / "snapshots");
  expect_error([&] { open_checkpoint(folder.path()); }, Exit::kModel, "one of those in snapshots");
  fs::copy(fixture("llama_gqa") / "config.json", folder / "config.json");
  expect_error([&] { open_checkpoint(folder.path()); }, Exit::kModel,
               "neither model.safetensors nor", "--load-format dummy");
}

/// Absurd sizes that pass the config's bounds end at the first tensor, before anything is
/// allocated.
TEST(Checkpoint, AbsurdSizesDoNotAllocate) {
  Damaged model("llama_gqa");
  model.config["hidden_size"] = 1 << 20;
  model.config["head_dim"] = 16384;
  model.expect_refused("model.embed_tokens.weight: want [128, 1048576], file has [128, 48]");
}

TEST(Checkpoint, TheFilesSayTheTypeWhereTheConfigDoesNot) {
  Damaged model("llama_gqa");
  EXPECT_EQ(model.open()->config().checkpoint_type, DType::kBf16);
  model.config.erase("dtype");
  EXPECT_EQ(model.open()->config().checkpoint_type, DType::kBf16);
  model.config["dtype"] = "float16";
  EXPECT_EQ(model.open()->config().checkpoint_type, DType::kF16);
}

TEST(Checkpoint, TheHashSeesConfigHeadersAndSizesOnly) {
  Damaged model("llama_gqa");
  const uint64_t first = model.open()->content_hash();
  EXPECT_EQ(model.open()->content_hash(), first);
  std::set<uint64_t> hashes = {first};
  write_bytes(model.folder / "tokenizer.json", "{}");
  EXPECT_EQ(model.open()->content_hash(), first);
  write_bytes(model.folder / "generation_config.json", R"({"eos_token_id": 7})");
  hashes.insert(model.open()->content_hash());
  model.config["rms_norm_eps"] = 1e-4;
  hashes.insert(model.open()->content_hash());
  model.header["__metadata__"]["format"] = "np";
  hashes.insert(model.open()->content_hash());
  model.data += '\0';
  hashes.insert(model.open()->content_hash());
  EXPECT_EQ(hashes.size(), 5u);
}

TEST(DummyCheckpoint, EveryRowIsAFunctionOfItsPlace) {
  for (const auto& folder : all_fixtures()) {
    SCOPED_TRACE(folder.filename().string());
    const ModelConfig config = load_model_config(folder);
    const auto first = make_dummy_checkpoint(config), second = make_dummy_checkpoint(config);
    const auto all = read_all(*first, TensorRole::kDown, 1);
    const auto columns = static_cast<size_t>(config.ffn);
    std::vector<float> rows(3 * columns);
    second->read_rows(TensorRole::kDown, 1, 4, 3, rows);
    EXPECT_TRUE(std::equal(rows.begin(), rows.end(), all.begin() + 4 * std::ssize(rows) / 3));
    EXPECT_NE(all, read_all(*first, TensorRole::kDown, 0));
    EXPECT_FALSE(std::equal(all.begin(), all.begin() + config.ffn, all.begin() + config.ffn));
    EXPECT_EQ(first->content_hash(), second->content_hash());
    if (config.tied_head) {
      EXPECT_EQ(read_all(*first, TensorRole::kHead, 0),
                read_all(*first, TensorRole::kEmbedding, 0));
    }
  }
}

TEST(DummyCheckpoint, MatricesKeepSizesAndNormsAreNearOne) {
  const ModelConfig config = load_model_config(fixture("llama_odd_sizes"));
  const auto checkpoint = make_dummy_checkpoint(config);
  for (const TensorRole role : {TensorRole::kEmbedding, TensorRole::kQ, TensorRole::kDown}) {
    const auto values = read_all(*checkpoint, role, 0);
    double sum = 0, square = 0;
    for (const float value : values) sum += value, square += value * value;
    const auto count = static_cast<double>(values.size());
    const auto columns = static_cast<double>(shape_of(config, role)->columns);
    EXPECT_NEAR(std::sqrt(square / count * columns), 1, 0.05) << name(role);
    EXPECT_NEAR(sum / std::sqrt(square), 0, 4) << name(role);
  }
  for (const float value : checkpoint->read_vector(TensorRole::kPostNorm, 1))
    EXPECT_NEAR(value, 1, 0.11);
}

TEST(DummyCheckpoint, TheHashSeesTheShape) {
  ModelConfig config = load_model_config(fixture("llama_gqa"));
  const uint64_t first = make_dummy_checkpoint(config)->content_hash();
  config.rope_theta *= 2;
  EXPECT_NE(make_dummy_checkpoint(config)->content_hash(), first);
}

}  // namespace
}  // namespace llmpq
