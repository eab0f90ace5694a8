// The journal of a running job: takes finished rows, makes them survive, and knows after a restart
// which are done. Made by commands/generate on rank 0; published by output/publish.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "output/journal_file.hpp"
#include "pipeline/row_sink.hpp"

namespace llmpq {

/// What a journal has committed.
struct JournalCounts {
  int64_t rows = 0;  ///< output rows in all: prompts times samples
  int64_t done = 0;  ///< failed ones included
  int64_t failed = 0;
  int64_t output_tokens = 0;  ///< of the good ones
};

class Journal : public RowSink {
 public:
  /// A new journal at OUTPUT.part; one that stands there is replaced when the new one is ready.
  /// `plan`, if any, is in it from its first moment: whoever goes on after a kill finds the
  /// formats. Hold the OutputLock before. Error(kOutput).
  static std::unique_ptr<Journal> create(const std::filesystem::path& output,
                                         const JournalHead& head, const std::string& plan = "");
  /// Goes on with OUTPUT.part, whatever killed its writer: checks it against its checksums,
  /// repairs a copy and puts that in its place. `retry_failed`: rows in error are forgotten, so
  /// that they are done again. Error(kOutput) if it is torn or foreign.
  static std::unique_ptr<Journal> resume(const std::filesystem::path& output,
                                         bool retry_failed = false);
  /// A journal with the good rows of a complete OUTPUT, which stays until publish(). Error(kOutput)
  /// if OUTPUT does not say what job it is of.
  static std::unique_ptr<Journal> reopen(const std::filesystem::path& output);
  ~Journal() override;

  const JournalHead& head() const;
  /// Committed, and added after the last commit, alike.
  bool is_done(int64_t row, int32_t sample) const;
  /// Committed only: what may be reported as progress.
  JournalCounts counts() const;

  /// Appends a plan (JSON); rows name it by the index that is returned. A plan that is there
  /// already is not added again. Committed with the next commit().
  int32_t add_plan(const std::string& json);
  /// In the order of their index.
  const std::vector<std::string>& plans() const;

  /// Rows of good status have token_ids.size() logprobs if the head asks for them and K times as
  /// many top ones for K > 1. A row outside the job or already done is an Error(kInternal).
  void add(FinishedRow row) override;
  void commit() override;

 private:
  struct Impl;
  using ReadRows = std::function<std::vector<FinishedRow>(int64_t begin, int64_t count)>;
  explicit Journal(std::unique_ptr<Impl> impl);
  static std::unique_ptr<Journal> with_good_rows(const std::filesystem::path& output,
                                                 const JournalHead& head,
                                                 const std::vector<std::string>& plans,
                                                 int64_t rows, const ReadRows& read);
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmpq
