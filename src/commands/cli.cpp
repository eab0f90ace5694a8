#include "commands/cli.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "input/job_options.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr std::array kCommands{Command::kGenerate,    Command::kPlan,    Command::kEval,
                               Command::kConvert,     Command::kInspect, Command::kCheck,
                               Command::kSensitivity, Command::kProfile, Command::kBench};

Command parse_command(const std::string& word) {
  std::vector<std::string> names;
  for (const Command command : kCommands) {
    if (word == name(command)) return command;
    names.emplace_back(name(command));
  }
  const std::string nearest = nearest_name(word, names);
  fail(Exit::kUsage, "unknown command \"{}\": {}", word,
       nearest.empty() ? fmt::format("want one of {}", fmt::join(names, ", "))
                       : fmt::format("did you mean {}?", nearest));
}

/// The words after the command, sorted: the flags with their values, and what belongs to no flag.
struct Words {
  std::vector<std::pair<const Option*, std::vector<Scalar>>> flags;
  std::vector<std::string> others;
};

bool takes_value(const Option& option) { return option.binding.type != ValueType::kFlag; }

std::string flag_of(const Option& option) { return "--" + option.name; }

/// nullptr if `word` is no flag of the command, with or without `=value`.
const Option* find_flag(const std::string& word, Command command) {
  return word.starts_with("--") ? find_option(word.substr(2, word.find('=') - 2), command)
                                : nullptr;
}

[[noreturn]] void fail_unknown_flag(const std::string& word, Command command) {
  const std::string flag = word.substr(0, word.find('='));
  const std::string bare = flag.substr(std::min(flag.size(), flag.find_first_not_of('-')));
  fail(Exit::kUsage, "unknown flag {}: {}", flag, did_you_mean(bare, command, "--"));
}

void check_has_value(const Option& option, bool has_value) {
  CHECK(has_value, Exit::kUsage, "{} needs a value: {}", flag_of(option), wanted(option));
}

/// The words as CLI11 has to see them: by itself it takes a flag for the value of the flag before
/// it, the next word for the value of `--flag=`, and "--" and "++" for the end of a command.
std::vector<std::string> spelled_out(const std::vector<std::string>& words, Command command) {
  std::vector<std::string> result;
  for (auto word = words.begin(); word != words.end(); ++word) {
    result.push_back(*word);
    const size_t equals = word->find('=');
    if (const Option* option = find_flag(*word, command); !option) {
      if (*word == "--" || *word == "++") fail_unknown_flag(*word, command);
    } else if (equals == word->size() - 1) {
      check_has_value(*option, takes_value(*option));
      result.back().pop_back();
      result.emplace_back();
    } else if (equals == std::string::npos && takes_value(*option)) {
      const auto value = std::next(word);
      check_has_value(*option, value != words.end() && !value->starts_with("--"));
      result.push_back(*value);
      word = value;
    }
  }
  return result;
}

/// All texts of one flag: the last one, or the whole list.
std::vector<Scalar> values_of(const Option& option, const std::vector<std::string>& texts) {
  std::vector<Scalar> values;
  for (const auto& text : texts) {
    if (!option.binding.list) values.clear();
    for (auto& value : parse_text(option, text, flag_of(option)))
      values.push_back(std::move(value));
  }
  return values;
}

/// A subcommand whose options only collect words: what they mean is known to the list of options,
/// and help and sentences are ours.
void add_command(CLI::App& app, Command command) {
  constexpr int kManyWords = 1 << 20;  // from 1 << 25 on, CLI11 takes one word only
  CLI::App* reader = app.add_subcommand(std::string(name(command)));
  for (const auto* option : options_of(command)) {
    CLI::Option* collected = takes_value(*option) ? reader->add_option(flag_of(*option))
                                                  : reader->add_flag(flag_of(*option));
    if (option->binding.greedy) collected->expected(1, kManyWords);
    collected->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
}

/// `words` without the command.
Words read_words(const std::vector<std::string>& words, Command command) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();  // the subcommands too
  app.require_subcommand(0, 1);
  for (const Command each : kCommands) add_command(app, each);
  std::vector<std::string> line = spelled_out(words, command);
  line.insert(line.begin(), std::string(name(command)));
  std::reverse(line.begin(), line.end());  // as CLI11 wants it
  try {
    app.parse(std::move(line));
  } catch (const CLI::Error& error) {
    fail(Exit::kUsage, "llmpq {}: {}", name(command), error.what());
  }
  const CLI::App* reader = app.get_subcommand(std::string(name(command)));
  Words result{{}, reader->remaining()};
  for (const auto* option : options_of(command))
    if (const auto* flag = reader->get_option(flag_of(*option)); flag->count() > 0)
      result.flags.emplace_back(option, values_of(*option, flag->results()));
  return result;
}

/// The one word that stands alone; nothing if there is none.
std::optional<std::string> word_alone(const std::vector<std::string>& words, Command command) {
  for (const auto& word : words) {
    if (word.starts_with("-") && word != "-") fail_unknown_flag(word, command);
    CHECK(command != Command::kConvert, Exit::kUsage,
          "\"{}\" stands alone: convert takes --input and --output only", word);
  }
  if (words.empty()) return std::nullopt;
  CHECK(words.size() == 1, Exit::kUsage, "\"{}\" and \"{}\" stand alone: {} takes one {}", words[0],
        words[1], name(command), command == Command::kInspect ? "file" : "job file");
  return words[0];
}

bool asks_for_help(const std::string& word) { return word == "--help" || word == "-h"; }

Job make_job(const std::vector<std::string>& words, Command command) {
  const auto [flags, others] = read_words(words, command);
  const auto alone = word_alone(others, command);
  const auto here = std::filesystem::current_path();
  Job job;
  if (alone && command == Command::kInspect)
    job.file = (here / *alone).lexically_normal();
  else if (alone)
    read_job_file(*alone, command, job);
  for (const auto& [option, values] : flags)
    set_option(job, *option, values, here, flag_of(*option));
  return job;
}

CommandLine printed(std::string text) { return {std::move(text), std::nullopt, Job{}}; }

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& words) {
  if (words.size() == 2 && asks_for_help(words[0]) && words[1] == "models")
    return printed(models_text());
  if (words.empty() || asks_for_help(words[0])) return printed(help_text());
  if (words[0] == "--version") return printed(version_text() + "\n");
  const Command command = parse_command(words[0]);
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (std::any_of(rest.begin(), rest.end(), asks_for_help)) return printed(help_text(command));
  CommandLine request{"", command, make_job(rest, command)};
  if (request.job.print_config)
    request.print = job_to_toml(request.job, command);
  else
    check_job(request.job, command);
  return request;
}

}  // namespace llmpq
