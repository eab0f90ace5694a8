// How far the job is: a bar on a terminal, a line every few seconds in a log. Fed by the run loop
// of rank 0 as often as it likes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/timer.hpp"

namespace llmpq {

/// Totals since the start of this run; rows_done counts those of earlier runs and failed ones too.
struct ProgressCounts {
  int64_t rows_done = 0;  ///< committed: never lost from here on
  int64_t rows_failed = 0;
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;
};

/// What one line says.
struct ProgressLine {
  ProgressCounts counts;
  int64_t rows = 0;
  double prompt_tokens_per_s = 0;
  double output_tokens_per_s = 0;
  std::optional<double> eta_s;         ///< not known before a row is done
  std::optional<double> slurm_left_s;  ///< of the allocation; nothing outside Slurm
};

/// "37/500 rows (7.4 %), 1 failed, 812 tokens/s in, 340 tokens/s out, ETA 0:02:11, Slurm 1:30:00".
std::string progress_text(const ProgressLine& line);
/// The same behind a bar.
std::string progress_bar(const ProgressLine& line);
/// "0:02:11", "26:00:00".
std::string duration_text(double seconds);

/// Notices when the time that Slurm leaves will not be enough.
class SlurmWarning {
 public:
  /// True as it becomes so; again only if it was clearly not so in between.
  bool is_due(const ProgressLine& line);

 private:
  bool too_late_ = false;
};

class Progress {
 public:
  /// `rows`: of the job; `rows_before`: those that an earlier run had done; `slurm_end_s`: when
  /// Slurm ends the job, since 1970.
  Progress(int64_t rows, int64_t rows_before, std::optional<double> slurm_end_s);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// All rows of the job are predicted to take so long: warns at once if Slurm's time is less.
  void expect(double job_s);
  /// Prints if it is time to, and warns when Slurm's time will not be enough.
  void update(const ProgressCounts& counts);
  /// Removes the bar and logs a last line.
  void finish();

 private:
  ProgressLine line_now() const;
  void warn_if_due(const ProgressLine& line);

  int64_t rows_;
  int64_t rows_before_;
  std::optional<double> slurm_end_s_;
  SlurmWarning slurm_warning_;
  bool on_terminal_;
  bool finished_ = false;
  Timer since_start_, since_line_;
  ProgressCounts now_, at_last_line_;
};

}  // namespace llmpq
