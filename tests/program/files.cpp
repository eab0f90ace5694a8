#include "program/files.hpp"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "base/hdf5.hpp"
#include "base/json.hpp"
#include "input/prompts.hpp"

namespace llmpq::test {
namespace {

template <typename T>
std::vector<T> row_of(const std::vector<T>& values, const std::vector<int64_t>& splits, size_t row,
                      size_t width = 1) {
  return {values.begin() + splits[row] * static_cast<int64_t>(width),
          values.begin() + splits[row + 1] * static_cast<int64_t>(width)};
}

template <typename T>
std::vector<T> all(const h5::Group& group, const std::string& name) {
  const h5::Dataset dataset = group.dataset(name);
  return dataset.read<T>(0, dataset.rows());
}

std::vector<std::string> all_text(const h5::Group& group, const std::string& name) {
  const h5::Dataset dataset = group.dataset(name);
  return dataset.read_text(0, dataset.rows());
}

void read_logprobs(const h5::File& file, std::vector<OutputRow>& rows) {
  const h5::Group group = file.group("logprobs");
  const auto values = all<float>(group, "values");
  const auto splits = all<int64_t>(group, "row_splits");
  for (size_t i = 0; i < rows.size(); ++i) rows[i].logprobs = row_of(values, splits, i);
  if (!file.has("top_logprobs")) return;
  const h5::Group top = file.group("top_logprobs");
  const auto width = static_cast<size_t>(top.dataset("values").row_values());
  const auto ids = all<int32_t>(top, "token_ids");
  const auto logprobs = all<float>(top, "values");
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].top_token_ids = row_of(ids, splits, i, width);
    rows[i].top_logprobs = row_of(logprobs, splits, i, width);
  }
}

}  // namespace

std::vector<OutputRow> read_output(const std::string& path) {
  const h5::File file = h5::File::open(path, h5::File::Mode::kRead, Exit::kOutput);
  const auto texts = all_text(file, "text");
  const auto ids = all<int32_t>(file.group("token_ids"), "values");
  const auto splits = all<int64_t>(file.group("token_ids"), "row_splits");
  const auto finish = all_text(file, "finish_reason"), stop = all_text(file, "stop_reason"),
             status = all_text(file, "status"), error = all_text(file, "error");
  const auto prompt = all<int32_t>(file, "prompt_tokens"),
             completion = all<int32_t>(file, "completion_tokens"),
             plan = all<int32_t>(file, "plan_index");
  std::vector<OutputRow> rows;
  for (size_t i = 0; i < texts.size(); ++i)
    rows.push_back({texts[i],
                    row_of(ids, splits, i),
                    finish[i],
                    stop[i],
                    status[i],
                    error[i],
                    prompt[i],
                    completion[i],
                    plan[i],
                    {},
                    {},
                    {}});
  if (file.has("logprobs")) read_logprobs(file, rows);
  return rows;
}

void write_prompts(const std::string& path, const std::vector<std::string>& texts,
                   const PromptColumns& columns) {
  h5::File file = h5::File::create(path, false, Exit::kPrompts);
  file.create_dataset("prompt", {h5::text_type(), 1024, {}})
      .write_text(0, std::span<const std::string>(texts));
  if (!columns.seed.empty())
    file.create_dataset("seed", {h5::value_type<uint64_t>(), 1024, {}})
        .write(0, std::span<const uint64_t>(columns.seed));
  if (!columns.max_tokens.empty())
    file.create_dataset("max_tokens", {h5::value_type<int32_t>(), 1024, {}})
        .write(0, std::span<const int32_t>(columns.max_tokens));
}

void write_dummy_model(const std::string& folder, const DummyShape& shape) {
  std::filesystem::create_directory(folder);
  const nlohmann::json config{{"architectures", {"LlamaForCausalLM"}},
                              {"model_type", "llama"},
                              {"hidden_size", shape.hidden},
                              {"intermediate_size", shape.ffn},
                              {"num_hidden_layers", shape.layers},
                              {"num_attention_heads", shape.heads},
                              {"num_key_value_heads", shape.kv_heads},
                              {"vocab_size", shape.vocab},
                              {"max_position_embeddings", 1024},
                              {"rms_norm_eps", 1e-5},
                              {"rope_theta", 10000.0},
                              {"hidden_act", "silu"},
                              {"tie_word_embeddings", true},
                              {"torch_dtype", "bfloat16"},
                              {"eos_token_id", 2}};
  std::ofstream(folder + "/config.json") << dump_json(config);
}

void write_token_prompts(const std::string& path, int64_t rows, std::pair<int, int> lengths,
                         int vocab) {
  std::mt19937 random(1);
  const auto draw = [&](int least, int most) {
    return least + static_cast<int>(random() % static_cast<unsigned>(most - least + 1));
  };
  std::vector<int32_t> values;
  std::vector<int64_t> splits{0};
  for (int64_t row = 0; row < rows; ++row) {
    for (int left = draw(lengths.first, lengths.second); left > 0; --left)
      values.push_back(draw(3, vocab - 1));
    splits.push_back(static_cast<int64_t>(values.size()));
  }
  h5::File file = h5::File::create(path, false, Exit::kPrompts);
  h5::Group group = file.create_group("prompt_token_ids");
  group.create_dataset("values", {h5::value_type<int32_t>(), 65536, {}})
      .write(0, std::span<const int32_t>(values));
  group.create_dataset("row_splits", {h5::value_type<int64_t>(), 65536, {}})
      .write(0, std::span<const int64_t>(splits));
}

std::vector<std::string> bundled_prompts(int64_t begin, int64_t count) {
  std::vector<std::string> texts;
  for (const Prompt& prompt :
       PromptsFile::open(std::string(LLMPQ_DATA) + "/prompts.h5").read(begin, count, Sampling{}))
    texts.push_back(prompt.text);
  return texts;
}

}  // namespace llmpq::test
