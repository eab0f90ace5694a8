// Rows of a journal that are committed: which there are, and their content in bounded memory. Used
// by resume, by inspect on a live or dead job, and for publishing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "output/journal_file.hpp"
#include "pipeline/row_sink.hpp"

namespace llmpq {

class JournalRows {
 public:
  /// `file` must outlive it; `committed` is from file.verify() or file.last_commit().
  JournalRows(const JournalFile& file, const CommitRecord& committed)
      : file_(file), committed_(committed) {}

  int64_t count() const { return committed_.rows(); }
  /// For each row in the order of completion its place in the output, (row - first) * samples +
  /// sample. Error(kOutput) if one is impossible or there twice.
  std::vector<int64_t> output_positions() const;
  std::vector<std::string> plans() const;

  /// The records with these indices (in completion order, any sequence of them).
  std::vector<RowRecord> records(std::span<const int64_t> indices) const;
  /// What the records stand for, in their order. All are in memory at once.
  std::vector<FinishedRow> rows(std::span<const RowRecord> records) const;

 private:
  void check(const RowRecord& record) const;

  const JournalFile& file_;
  CommitRecord committed_;
};

}  // namespace llmpq
