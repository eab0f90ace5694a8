// The log: stderr, one line an event with time, level, rank and host; stdout is left to results.
// Boost.Log is behind it, in log.cpp alone. May be called from any thread.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

namespace llmpq {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// What the lines say about their origin; Mpi sets it. Before that lines have the host alone.
void set_log_identity(int rank, const std::string& host);
/// Lines below `level` are left out (kInfo at first).
void set_log_level(LogLevel level);
/// Whether lines of that level are written: for what is costly to find out.
bool is_logged(LogLevel level);
/// Keeps one line at the bottom of the terminal, below the log: the progress bar. Empty: none.
void show_status_line(const std::string& line);

/// The sentence of an error that ends the program: "llmpq: error: ..." on stderr, for people.
void print_error(const std::string& sentence);

/// One line; line breaks inside `text` are written as they are.
void log_line(LogLevel level, std::string_view text);

template <typename... Args>
void log_debug(fmt::format_string<Args...> sentence, Args&&... args) {
  log_line(LogLevel::kDebug, fmt::format(sentence, std::forward<Args>(args)...));
}
template <typename... Args>
void log_info(fmt::format_string<Args...> sentence, Args&&... args) {
  log_line(LogLevel::kInfo, fmt::format(sentence, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> sentence, Args&&... args) {
  log_line(LogLevel::kWarning, fmt::format(sentence, std::forward<Args>(args)...));
}
template <typename... Args>
void log_error(fmt::format_string<Args...> sentence, Args&&... args) {
  log_line(LogLevel::kError, fmt::format(sentence, std::forward<Args>(args)...));
}

}  // namespace llmpq
