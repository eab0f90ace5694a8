#include "output/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "base/log.hpp"
#include "base/table.hpp"

namespace llmpq {
namespace {

constexpr double kBarEvery_s = 0.25;
constexpr double kLineEvery_s = 5;
constexpr int kBarColumns = 24;

double share_done(const ProgressLine& line) {
  if (line.rows == 0) return 1;
  return static_cast<double>(line.counts.rows_done) / static_cast<double>(line.rows);
}

/// A longer line would wrap, and then it could not be taken back.
std::string fit_terminal(const std::string& line) {
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10;
  return shorten(line, known ? size.ws_col - 1 : 79);
}

double per_second(int64_t now, int64_t before, double seconds) {
  return seconds > 0 ? static_cast<double>(now - before) / seconds : 0;
}

}  // namespace

std::string duration_text(double seconds) {
  const auto s = static_cast<int64_t>(std::max(0.0, seconds) + 0.5);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string progress_text(const ProgressLine& line) {
  std::string text = fmt::format("{}/{} rows ({:.1f} %)", line.counts.rows_done, line.rows,
                                 100 * share_done(line));
  if (line.counts.rows_failed > 0) text += fmt::format(", {} failed", line.counts.rows_failed);
  text += fmt::format(", {:.0f} tokens/s in, {:.0f} tokens/s out, ETA {}", line.prompt_tokens_per_s,
                      line.output_tokens_per_s, line.eta_s ? duration_text(*line.eta_s) : "?");
  if (line.slurm_left_s) text += fmt::format(", Slurm {}", duration_text(*line.slurm_left_s));
  return text;
}

std::string progress_bar(const ProgressLine& line) {
  const int filled = std::clamp(static_cast<int>(share_done(line) * kBarColumns), 0, kBarColumns);
  return fmt::format("[{:#<{}}{:.<{}}] {}", "", filled, "", kBarColumns - filled,
                     progress_text(line));
}

bool SlurmWarning::is_due(const ProgressLine& line) {
  constexpr double kClearly = 0.9;
  if (!line.eta_s || !line.slurm_left_s) return false;
  const bool was_too_late = too_late_;
  if (*line.eta_s > *line.slurm_left_s) too_late_ = true;
  if (*line.eta_s < kClearly * *line.slurm_left_s) too_late_ = false;
  return too_late_ && !was_too_late;
}

Progress::Progress(int64_t rows, int64_t rows_before, std::optional<double> slurm_end_s)
    : rows_(rows),
      rows_before_(rows_before),
      slurm_end_s_(slurm_end_s),
      on_terminal_(::isatty(STDERR_FILENO) == 1) {
  now_.rows_done = at_last_line_.rows_done = rows_before;
  if (const auto left_s = line_now().slurm_left_s)
    log_info("Slurm gives this job {} more", duration_text(*left_s));
}

Progress::~Progress() { show_status_line(""); }

ProgressLine Progress::line_now() const {
  ProgressLine line;
  line.counts = now_;
  line.rows = rows_;
  // On a terminal numbers change every moment: an average over the run reads better there.
  const ProgressCounts since = on_terminal_ || finished_ ? ProgressCounts{} : at_last_line_;
  const double seconds = (on_terminal_ || finished_ ? since_start_ : since_line_).seconds();
  line.prompt_tokens_per_s = per_second(now_.prompt_tokens, since.prompt_tokens, seconds);
  line.output_tokens_per_s = per_second(now_.output_tokens, since.output_tokens, seconds);
  const int64_t done_here = now_.rows_done - rows_before_;
  if (done_here > 0) {
    line.eta_s = since_start_.seconds() * static_cast<double>(rows_ - now_.rows_done) /
                 static_cast<double>(done_here);
  }
  if (slurm_end_s_)
    line.slurm_left_s = std::max(0.0, *slurm_end_s_ - static_cast<double>(std::time(nullptr)));
  return line;
}

void Progress::update(const ProgressCounts& counts) {
  now_ = counts;
  if (since_line_.seconds() < (on_terminal_ ? kBarEvery_s : kLineEvery_s)) return;
  const ProgressLine line = line_now();
  if (on_terminal_) {
    show_status_line(fit_terminal(progress_bar(line)));
  } else {
    log_info("{}", progress_text(line));
  }
  warn_if_due(line);
  at_last_line_ = now_;
  since_line_.restart();
}

void Progress::expect(double job_s) {
  ProgressLine line = line_now();
  line.eta_s = job_s * (1 - share_done(line));
  warn_if_due(line);
}

void Progress::warn_if_due(const ProgressLine& line) {
  if (slurm_warning_.is_due(line))
    log_warning(
        "the ETA of {} is beyond Slurm's time left, {}: rows will be left for a requeued job to go "
        "on with (--resume)",
        duration_text(*line.eta_s), duration_text(*line.slurm_left_s));
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  show_status_line("");
  log_info("{}", progress_text(line_now()));
}

}  // namespace llmpq
