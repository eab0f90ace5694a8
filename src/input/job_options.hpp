// The one list of options: `--help`, the keys of job files, validation, `--print-config` and what
// is stored in the result are all made from it.
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "input/job.hpp"

namespace llmpq {

/// One value as it stands in a flag or a job file, before it becomes a field of the Job.
using Scalar = std::variant<bool, int64_t, double, std::string>;

enum class ValueType : uint8_t { kFlag, kInteger, kNumber, kText, kChoice, kPath, kBytes };

/// Values from `low` to `high`; `low` itself is left out if `above_low`.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool above_low = false;
};

/// How an option's values look and which field of the Job they are.
struct Binding {
  ValueType type = ValueType::kText;
  bool list = false;     ///< any number of values: a repeated flag, an array in the job file
  bool commas = false;   ///< a list that may also be one text, joined by commas
  bool greedy = false;   ///< a list whose flag takes all words up to the next flag
  std::string path_key;  ///< of texts that are "key=value,...": the key whose value is a path
  std::string unset;     ///< the value that stands for "not given", or empty if none does
  std::vector<std::string> choices;
  Range range;
  std::function<void(Job&, const std::vector<Scalar>&)> set;  ///< empty = back to "not given"
  std::function<std::vector<Scalar>(const Job&)> get;         ///< empty = not given
};

/// One option. `unit` is a noun for numbers ("tokens") and a placeholder for the rest ("FILE").
struct Option {
  std::string name;
  std::string group;
  unsigned commands;  ///< bit set over Command
  std::string unit;
  std::string help;
  Binding binding;
};

constexpr unsigned bit(Command command) { return 1u << static_cast<unsigned>(command); }

/// What eval (and sensitivity) score. Part of options().
std::vector<Option> eval_options();
/// Those that only sensitivity has. Part of options().
std::vector<Option> sensitivity_options();
/// Those that only bench has; `others` has what it takes one of, and bench several. Part of
/// options().
std::vector<Option> bench_options(const std::vector<Option>& others);
/// How weights are rounded. Part of options().
std::vector<Option> quantizer_options();
/// What becomes of a job that is killed, asked to stop, or hangs. Part of options().
std::vector<Option> life_options();
/// Those of `plan` that show more than a plan. Part of options().
std::vector<Option> view_options();
/// All options in the order in which people should read them; equal groups stand together.
const std::vector<Option>& options();
std::vector<const Option*> options_of(Command command);
/// nullptr if `command` has no such option.
const Option* find_option(std::string_view name, Command command);
/// The option of a key in a job file: any command that runs jobs reads the same files, and leaves
/// unused what only another one takes. nullptr if there is no such option.
const Option* find_key(std::string_view key);
/// A sentence's end for a name that no option of the command has: which one was perhaps meant.
/// `dashes` stand before it where it is a flag.
std::string did_you_mean(std::string_view name, Command command, std::string_view dashes = "");

/// What an option wants, in words: "an integer from 1 to 8 (tokens)".
std::string wanted(const Option& option);
/// A scalar as a person would type it, without quotes.
std::string to_text(const Option& option, const Scalar& value);

/// The scalars that the text of a flag stands for (several if joined by commas). `where` begins the
/// sentence of an Error(kUsage): "--max-tokens".
std::vector<Scalar> parse_text(const Option& option, std::string_view text,
                               const std::string& where);
/// Checks type, range and choices of the values and sets the field: the one way into the Job.
/// Relative paths start at `folder`. Error(kUsage) begins with `where`.
void set_option(Job& job, const Option& option, std::vector<Scalar> values,
                const std::filesystem::path& folder, const std::string& where);

}  // namespace llmpq
