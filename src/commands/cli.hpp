// The command line: which command, and its Job from defaults, job file and flags. Knows nothing of
// MPI, so that help and wrong usage are told at once. Used by main().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "input/job.hpp"

namespace llmpq {

/// What a command line asks for: a text to print, or a command to run.
struct CommandLine {
  std::string print;               ///< help, version or config; empty if a command is to run
  std::optional<Command> command;  ///< nothing: only print
  Job job;
};

/// `words` is argv without the program's name. Reads the job file. Flags beat the file, a later
/// flag beats an earlier one, the values of a repeated flag replace the file's array.
/// Error(kUsage): unknown command or flag (with the nearest known one), a missing value, a value
/// out of range, a job file that is wrong, an option that the command needs.
CommandLine parse_command_line(const std::vector<std::string>& words);

/// `llmpq --help`.
std::string help_text();
/// `llmpq --help models`: the table of model families, as it stands in the README.
std::string models_text();
/// `llmpq COMMAND --help`: a manual page, with every option in groups, its unit and default.
std::string help_text(Command command);
/// "llmpq 0.1.0".
std::string version_text();

}  // namespace llmpq
