// Runs the built llmpq as a user does, alone or under mpirun, and catches what it says; or lets a
// test meddle with it while it runs.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace llmpq::test {

struct ProgramRun {
  int exit_code = -1;
  std::string out;          ///< stdout
  std::string err;          ///< stderr
  int64_t max_rss_kib = 0;  ///< most memory of the started process (of llmpq itself without mpirun)
};

/// Variables and their values.
using Environment = std::vector<std::pair<std::string, std::string>>;

/// How a program is run.
struct RunLimits {
  double kill_after_s = 120;     ///< then all its processes get SIGKILL: exit code 137
  bool gpus = false;             ///< whether the program sees the GPUs that the machine may have
  Environment environment = {};  ///< besides the test's own
  bool closed_pipes = false;     ///< stdout and stderr are pipes that nobody reads
};

class RunningProgram {
 public:
  /// `ranks` = 0: without mpirun.
  RunningProgram(const std::vector<std::string>& arguments, int ranks,
                 const RunLimits& limits = {});
  /// Kills what is left of it.
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  /// Of mpirun, or of the program without it.
  pid_t pid() const { return pid_; }
  /// Signals the program on this rank; false if it is not there (yet, or any more).
  bool signal_rank(int rank, int signal) const;
  bool ended();
  /// What stderr has so far.
  std::string err() const;
  /// Waits until stderr has `text`; false if the program ends or 60 s pass without it.
  bool says(const std::string& text);
  /// Waits for its end, at most until limits.kill_after_s after the start. Call once.
  ProgramRun wait();
  /// SIGKILL to all its processes, as when a node dies. Call once, in place of wait().
  ProgramRun kill_all();

 private:
  pid_t rank_pid(int rank) const;
  ProgramRun result(int exit_code);

  RunLimits limits_;
  double end_s_;
  std::string stem_;
  int ranks_;
  pid_t pid_ = 0;
  int status_ = 0;
  bool ended_ = false;
  int64_t max_rss_kib_ = 0;
};

/// Starts it and waits for its end.
ProgramRun run_program(const std::vector<std::string>& arguments, int ranks = 0,
                       const RunLimits& limits = {});

}  // namespace llmpq::test
