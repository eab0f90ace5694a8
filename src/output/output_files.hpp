// The files of one output: OUTPUT itself, OUTPUT.part (the journal) and what else stands beside it
// while a job runs; who may write them, and what a job finds when it starts.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace llmpq {

/// All files beside OUTPUT are named OUTPUT.part* and are gone when it is complete. Where OUTPUT is
/// a symbolic link, they stand beside what it leads to, which is what is written: Error(kOutput) if
/// it leads in a circle.
struct OutputPaths {
  explicit OutputPaths(const std::filesystem::path& output);
  std::filesystem::path output;
  std::filesystem::path part;     ///< journal of finished rows
  std::filesystem::path fresh;    ///< a journal that is being made
  std::filesystem::path recover;  ///< a copy of a killed job's journal, being repaired
  std::filesystem::path result;   ///< the row-aligned file before it becomes OUTPUT
  std::filesystem::path lock;
};

/// A file can be written there: its folder is there and takes files, and nothing but a file is in
/// its place, which the new one would take. Error(kOutput).
void check_place(const std::filesystem::path& file);

/// The output of --shard I/N: OUTPUT.shard-I-of-N.
std::filesystem::path shard_output(const std::filesystem::path& output, const std::string& shard);

enum class OutputState {
  kFresh,     ///< start from the first row
  kContinue,  ///< OUTPUT.part holds rows of an earlier run: resume it
  kComplete,  ///< OUTPUT is complete: nothing to do, exit 0
  kRetry,     ///< OUTPUT is complete, and its rows in error shall be done again
};

/// The flags that decide about files.
struct OutputWishes {
  bool overwrite = false;
  bool resume = false;
  bool retry_failed = false;  ///< counts with `resume` only
};

/// What the flags make of the files that are there; changes nothing. Error(kOutput) where design
/// and flags say no: OUTPUT or OUTPUT.part stands and neither --overwrite nor --resume is given,
/// OUTPUT is no output of ours, or the folder cannot be written.
OutputState check_output(const std::filesystem::path& output, const OutputWishes& wishes);

/// Keeps other jobs away from an output: an fcntl lock on OUTPUT.part.lock, which the system takes
/// back when the process dies, and the owner's host, pid and job in the file.
class OutputLock {
 public:
  /// Error(kOutput) names the owner if another process holds it. Where the file system has no
  /// locks a warning says so, and the job runs without one.
  OutputLock(const std::filesystem::path& output, const std::string& job_id);
  /// Removes the lock file.
  ~OutputLock();
  OutputLock(const OutputLock&) = delete;
  OutputLock& operator=(const OutputLock&) = delete;

 private:
  bool lock_once(const std::string& owner);

  std::filesystem::path path_;
  int fd_ = -1;
};

/// What the process that holds the lock wrote about itself; nothing if nobody holds it. Not for the
/// process that holds it.
std::optional<std::string> lock_owner(const std::filesystem::path& output);

/// A kill after publish() had put OUTPUT in its place may have left the journal: removes it if
/// OUTPUT is younger, so that it was made from it.
void remove_published_part(const OutputPaths& paths);

/// Removes what a finished or abandoned job left beside OUTPUT, the lock file excepted.
void remove_part_files(const OutputPaths& paths);

}  // namespace llmpq
