// The sampling options that a row may have of its own: one list of columns, used for reading the
// prompts file and for making one out of JSONL and CSV.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "input/sampling.hpp"

namespace llmpq {

/// A column of the prompts file, named like the option with underscores. NaN or -1 stands for the
/// job's value; whatever else lies outside [low, high], or has a fraction where integers are
/// wanted, is an error of the row.
struct RowOption {
  std::string_view name;
  bool is_integer = true;
  double low = 0;
  double high = 0;
  bool without_low = false;  ///< `low` itself is not allowed
  void (*set)(Sampling&, double value) = nullptr;
};

/// All numeric ones but /seed, whose 64 bits do not fit a double, and /stop, which is text.
std::span<const RowOption> row_options();

/// Applies one value; returns the sentence if it is out of range, else nothing.
std::string apply_row_option(const RowOption& option, double value, Sampling& sampling);

/// Applies a row's /seed; -1 (NaN among floats) = the job's. Returns the sentence if it is none.
std::string apply_row_seed(int64_t value, Sampling& sampling);
std::string apply_row_seed(uint64_t value, Sampling& sampling);
std::string apply_row_seed(double value, Sampling& sampling);

/// Applies a row's /stop: a JSON array of strings, or one string; empty = the job's.
std::string apply_row_stop(const std::string& text, Sampling& sampling);

}  // namespace llmpq
