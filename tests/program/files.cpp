#include "program/files.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "base/hdf5.hpp"
#include "base/json.hpp"
#include "input/prompts.hpp"
#include "input/row_options.hpp"
#include "output/journal_file.hpp"
#include "output/output_files.hpp"

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

/// A column of a sampling option, of the type that it wants; NaN stands for the job's value.
void write_numbers(h5::File& file, const std::string& name, const std::vector<double>& values) {
  const auto options = row_options();
  const auto option = std::ranges::find(options, name, &RowOption::name);
  if (option == options.end() || !option->is_integer) {
    file.create_dataset(name, {h5::value_type<double>(), 1024, {}})
        .write(0, std::span<const double>(values));
    return;
  }
  std::vector<int64_t> integers;
  for (const double value : values)
    integers.push_back(std::isnan(value) ? -1 : static_cast<int64_t>(value));
  file.create_dataset(name, {h5::value_type<int64_t>(), 1024, {}})
      .write(0, std::span<const int64_t>(integers));
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

int64_t committed_rows(const std::string& output) {
  try {
    return JournalFile::open(OutputPaths(output).part, h5::File::Mode::kLive).last_commit().rows();
  } catch (const Error&) {
    return 0;  // there is none, or it is just being put in its place
  }
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
  for (const auto& [name, values] : columns.numbers) write_numbers(file, name, values);
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
  constexpr size_t kWindow = 1 << 20;  // a million rows are not held in memory
  std::mt19937 random(1);
  const auto draw = [&](int least, int most) {
    return least + static_cast<int>(random() % static_cast<unsigned>(most - least + 1));
  };
  h5::File file = h5::File::create(path, false, Exit::kPrompts);
  h5::Group group = file.create_group("prompt_token_ids");
  h5::Dataset values = group.create_dataset("values", {h5::value_type<int32_t>(), 65536, {}});
  h5::Dataset splits = group.create_dataset("row_splits", {h5::value_type<int64_t>(), 65536, {}});
  std::vector<int32_t> tokens;
  std::vector<int64_t> ends{0};
  for (int64_t row = 0, total = 0; row <= rows; ++row) {
    if (tokens.size() > kWindow || row == rows) {
      values.write(values.rows(), std::span<const int32_t>(tokens));
      splits.write(splits.rows(), std::span<const int64_t>(ends));
      tokens.clear();
      ends.clear();
    }
    if (row == rows) break;
    const int size = draw(lengths.first, lengths.second);
    for (int left = size; left > 0; --left) tokens.push_back(draw(3, vocab - 1));
    ends.push_back(total += size);
  }
}

std::vector<std::string> bundled_prompts(int64_t begin, int64_t count) {
  std::vector<std::string> texts;
  for (const Prompt& prompt :
       PromptsFile::open(std::string(LLMPQ_DATA) + "/prompts.h5").read(begin, count, Sampling{}))
    texts.push_back(prompt.text);
  return texts;
}

}  // namespace llmpq::test
