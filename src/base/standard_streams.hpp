// stdin, stdout and stderr as whoever started us left them. Used by main.
#pragma once

#include <string>

namespace llmpq {

/// Opens those that are closed on /dev/null, so that no file of ours gets their number and what we
/// say. Call it first.
void open_standard_streams();

/// Writes what is left of stdout. Why it could not all be written, as on a full disk; "" if it was,
/// or if it is a pipe that nobody reads any more.
std::string flush_stdout();

}  // namespace llmpq
