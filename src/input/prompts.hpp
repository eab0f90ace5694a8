// The prompts file (HDF5), read through a window: never all rows at once. Used by the driver.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "input/sampling.hpp"

namespace llmpq {

/// One row of the prompts file as it stands there. A row in error ends as a row of the output with
/// that sentence; the run goes on without it.
struct Prompt {
  int64_t row = 0;              ///< index in the file
  std::string text;             ///< UTF-8 as stored, not yet checked
  std::vector<int32_t> tokens;  ///< if has_tokens
  bool has_tokens = false;      ///< the file holds /prompt_token_ids instead of /prompt
  Sampling sampling;            ///< the job's, with the row's columns applied
  std::string error;            ///< empty, or the sentence of a row with a value out of its range
};

/// Half-open range of file rows that this job works on.
struct RowRangeOfFile {
  int64_t begin = 0;
  int64_t end = 0;
};

/// Datasets: /prompt (N,) strings of variable or fixed length, or /prompt_token_ids/{values (T,),
/// row_splits (N + 1,)}; optional /id (N,) strings or integers; one optional column (N,) for each
/// sampling option (row_options.hpp).
class PromptsFile {
 public:
  /// Rows of prompts to read at once where all are walked: they may be long.
  static constexpr int64_t kPromptWindow = 64;

  /// Checks the datasets' names, types and lengths: Error(kPrompts) with the dataset's name. The
  /// names of datasets that nobody knows are in ignored().
  static PromptsFile open(const std::filesystem::path& path);
  PromptsFile(PromptsFile&&) noexcept;
  PromptsFile& operator=(PromptsFile&&) noexcept;
  ~PromptsFile();

  int64_t rows() const;
  const std::vector<std::string>& ignored() const;
  bool has_ids() const;
  /// The file holds /prompt_token_ids, no text.
  bool has_token_ids() const;
  /// Rows [begin, begin + count): defaults with the rows' columns applied (NaN or -1 = default).
  std::vector<Prompt> read(int64_t begin, int64_t count, const Sampling& defaults) const;
  /// The /id strings of those rows; empty strings where the file has none.
  std::vector<std::string> read_ids(int64_t begin, int64_t count) const;
  /// A hash over the content that decides results (prompt, token ids and option columns): resume
  /// compares it. Reads the file once, in bounded memory.
  uint64_t content_hash() const;

 private:
  struct Impl;
  explicit PromptsFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The rows that --rows BEGIN:END or --shard I/N leave of `rows`. At most one may be given; both
/// empty = all. Error(kUsage) names the option and the value.
RowRangeOfFile select_rows(int64_t rows, const std::string& rows_option,
                           const std::string& shard_option);

}  // namespace llmpq
