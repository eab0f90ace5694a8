// OUTPUT.part on disk: a journal of finished rows in completion order, in HDF5 with one writer and
// live readers (SWMR). Rows are appended to seven streams; a commit is one record of where each
// stream ends and a checksum of what was added to it. What no commit covers does not count.
//
//   /head                uint8 (bytes,)      JSON: what the job is
//   /rows                int64 (rows, 11)    one RowRecord each
//   /bytes               uint8 (bytes,)      text, stop reason and error of each row, then plans
//   /token_ids           int32 (tokens,)
//   /logprobs            float32 (tokens,)   if asked for
//   /top_token_ids       int32 (tokens, K)   if asked for, as is /top_logprobs, float32
//   /plans               int64 (plans, 2)    begin and size of a plan's JSON in /bytes
//   /commits             int64 (commits, 16) one CommitRecord each
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/hdf5.hpp"
#include "output/journal_head.hpp"

namespace llmpq {

enum Stream : size_t { kRows, kBytes, kTokens, kLogprobs, kTopIds, kTopLogprobs, kPlans, kStreams };

/// One finished row: where its parts are in the streams.
struct RowRecord {
  int64_t row, sample, finish_reason, prompt_tokens, plan_index;
  int64_t bytes_begin;  ///< in /bytes: the text, the stop reason, the error, one after the other
  int64_t text_bytes, stop_bytes, error_bytes;
  int64_t tokens_begin, tokens;
};
constexpr int64_t kRowFields = sizeof(RowRecord) / sizeof(int64_t);

/// State of the journal after a commit. Checksums are chained: each starts from the one before.
struct CommitRecord {
  int64_t failed = 0;  ///< rows in error so far
  std::array<int64_t, kStreams> ends{};
  std::array<int64_t, kStreams> checksums{};
  int64_t self = 0;  ///< checksum of the fields above and of the head
  int64_t rows() const { return ends[kRows]; }
};
constexpr int64_t kCommitFields = sizeof(CommitRecord) / sizeof(int64_t);

/// What is appended to the streams, by stream; for_each(f) calls f(stream, values) for each.
struct JournalBatch {
  std::vector<int64_t> rows;
  std::vector<uint8_t> bytes;
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;
  std::vector<int32_t> top_ids;
  std::vector<float> top_logprobs;
  std::vector<int64_t> plans;

  template <typename F>
  void for_each(F&& f) {
    f(kRows, rows);
    f(kBytes, bytes);
    f(kTokens, tokens);
    f(kLogprobs, logprobs);
    f(kTopIds, top_ids);
    f(kTopLogprobs, top_logprobs);
    f(kPlans, plans);
  }
};

/// The open file. Errors are Error(kOutput).
class JournalFile {
 public:
  /// A new one at `path`, ready for commits and for live readers.
  static JournalFile create(const std::filesystem::path& path, const JournalHead& head);
  /// `kLive`: as a running or killed job shows it; `kWrite`: after h5::File::recover().
  static JournalFile open(const std::filesystem::path& path, h5::File::Mode mode);

  const JournalHead& head() const { return head_; }
  const std::string& name() const { return file_.name(); }
  h5::Dataset& stream(Stream stream) { return streams_[stream]; }
  const h5::Dataset& stream(Stream stream) const { return streams_[stream]; }

  /// The last commit, without a look at the rows: for live readers. Zeros if there is none.
  CommitRecord last_commit();
  /// Reads everything that is committed and compares it with the checksums; returns the last
  /// commit. A mismatch tells which commit and which stream: the file is torn or foreign.
  CommitRecord verify();

  /// Appends `batch` after `before` and makes it survive a kill and a crash of the host.
  CommitRecord commit(const CommitRecord& before, int64_t failed, JournalBatch& batch);
  bool is_removed_from(const std::filesystem::path& path) const {
    return file_.is_removed_from(path);
  }
  /// Cuts what no commit covers and starts writing for live readers.
  void start_writing(const CommitRecord& committed);

 private:
  JournalFile(h5::File file, JournalHead head) : file_(std::move(file)), head_(std::move(head)) {}
  void open_streams();
  int64_t self_checksum(const CommitRecord& commit) const;
  std::vector<CommitRecord> read_commits(int64_t begin) const;
  void check_commit(int64_t index, const CommitRecord& before, const CommitRecord& commit);

  h5::File file_;
  JournalHead head_;
  uint64_t head_checksum_ = 0;
  std::vector<h5::Dataset> streams_;
  std::optional<h5::Dataset> commits_;
  int64_t commit_count_ = 0;
};

/// Whether the file looks like a journal.
bool is_journal(const h5::File& file);

}  // namespace llmpq
