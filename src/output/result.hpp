// The output file that users read: one row for each prompt and sample, in the order of the prompts.
// h5py reads it with one-liners. Written by publish, and by convert where it joins shards.
//
//   /text                   string (rows,), or uint8 /text/{values, row_splits}
//   /token_ids/{values int32 (tokens,), row_splits int64 (rows + 1,)}
//   /finish_reason          string (rows,): stop, length, error
//   /stop_reason            string (rows,): the stop string, or the token id as text
//   /status  /error  /id    string (rows,): ok or failed; a sentence; the prompts file's id
//   /prompt_tokens  /completion_tokens  /plan_index    int32 (rows,); -1 for rows in error
//   /logprobs/{values float32 (tokens,), row_splits}   with --logprobs 1 and more
//   /top_logprobs/{token_ids int32, values float32} (tokens, K)   with --logprobs K > 1
//   /run                    attributes: job profile versions times plans fingerprint (JSON), and
//                           the numbers row_begin row_end num_samples logprobs
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "output/journal_head.hpp"
#include "pipeline/row_sink.hpp"

namespace llmpq {

/// What a result says about itself as a whole: what its journal said (a fingerprint that is empty
/// is not known), and more.
struct ResultHead : JournalHead {
  bool text_as_bytes = false;
  std::string times;               ///< JSON
  std::vector<std::string> plans;  ///< JSON each
};

/// Writes a result from its first row to its last. Errors are Error(kOutput).
class ResultWriter {
 public:
  ResultWriter(const std::filesystem::path& path, const ResultHead& head);
  ~ResultWriter();
  /// The next rows in order, with the prompts file's ids (as many).
  void append(std::span<const FinishedRow> rows, std::span<const std::string> ids);
  /// Call after the last row: makes the file durable. The number of rows must be the head's.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads a result. Errors, also for files that are none, are Error(kOutput).
class ResultReader {
 public:
  explicit ResultReader(const std::filesystem::path& path);
  ~ResultReader();
  const ResultHead& head() const;
  const std::string& name() const;
  int64_t rows() const;
  /// Output rows [begin, begin + count), all in memory.
  std::vector<FinishedRow> read(int64_t begin, int64_t count) const;
  std::vector<std::string> read_ids(int64_t begin, int64_t count) const;
  int64_t count_failed() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whether the file is a result.
bool is_result(const std::filesystem::path& path);

/// "stop", "length", "error".
std::string_view name(FinishReason reason);

}  // namespace llmpq
