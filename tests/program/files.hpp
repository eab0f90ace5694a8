// The files of a test of the whole program: a folder that goes away, prompts files made to order,
// and output files as plain rows.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/temp_folder.hpp"

namespace llmpq::test {

/// The bundled model's folder.
inline const std::string kTiny = std::string(LLMPQ_DATA) + "/tiny";

/// A folder of the test, with its files' paths as the command line takes them.
class Scratch {
 public:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

 private:
  TempFolder folder_;
};

/// One row of an output file, every dataset of it.
struct OutputRow {
  std::string text;
  std::vector<int32_t> token_ids;
  std::string finish_reason, stop_reason, status, error;
  int32_t prompt_tokens = 0, completion_tokens = 0, plan_index = 0;
  std::vector<float> logprobs;  ///< empty if the file has none
  std::vector<int32_t> top_token_ids;
  std::vector<float> top_logprobs;
  bool operator==(const OutputRow&) const = default;
};

std::vector<OutputRow> read_output(const std::string& path);

/// Rows that a running or dead job has committed; 0 without a journal.
int64_t committed_rows(const std::string& output);

/// What a prompts file may hold besides its texts.
struct PromptColumns {
  std::vector<uint64_t> seed;                               ///< one per row, or empty
  std::vector<int32_t> max_tokens;                          ///< one per row, or empty
  std::map<std::string, std::vector<double>> numbers = {};  ///< other options by name
};
void write_prompts(const std::string& path, const std::vector<std::string>& texts,
                   const PromptColumns& columns = {});

/// Sizes of a made-up Llama shape.
struct DummyShape {
  int hidden = 64, ffn = 128, layers = 1, heads = 4, kv_heads = 2, vocab = 512;
};
/// A model's folder with config.json alone, for --load-format dummy.
void write_dummy_model(const std::string& folder, const DummyShape& shape);

/// Prompts of random tokens below `vocab`, of `lengths` first to second many.
void write_token_prompts(const std::string& path, int64_t rows, std::pair<int, int> lengths,
                         int vocab);

/// Rows [begin, begin + count) of data/prompts.h5.
std::vector<std::string> bundled_prompts(int64_t begin, int64_t count);

}  // namespace llmpq::test
