// What the help of each command says besides its options: the texts of the manual. Used by
// cli_help.
#pragma once

#include <span>
#include <string_view>

#include "input/job.hpp"

namespace llmpq {

/// Something to the left, what it means to the right.
struct HelpLine {
  std::string_view what, meaning;
};

/// A command line that runs as it stands, and what for.
struct HelpExample {
  std::string_view purpose, line;
};

struct HelpPage {
  std::string_view summary;   ///< as in the list of commands
  std::string_view synopsis;  ///< one line a way to call it
  std::string_view description;
  std::string_view success;    ///< what exit code 0 means
  std::span<const int> codes;  ///< that it may end with besides 0, 1 and 2, ascending
  std::span<const HelpLine> files;
  std::span<const HelpExample> examples;
  std::string_view more;  ///< commands that belong to it
};

HelpPage help_page(Command command);

/// The meaning of an exit code other than 0.
std::string_view exit_meaning(int code);

/// What the environment tells every command.
std::span<const HelpLine> environment_lines();

}  // namespace llmpq
