#include "commands/cli.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "input/job_options.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr std::array kCommands{Command::kGenerate, Command::kPlan, Command::kEval,
                               Command::kConvert, Command::kInspect};

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

/// The words after the command, sorted into flags and the one word that may stand alone.
struct Words {
  std::vector<std::pair<const Option*, std::vector<Scalar>>> flags;  ///< in order, options once
  std::optional<std::string> alone;
};

class WordReader {
 public:
  WordReader(const std::vector<std::string>& words, Command command)
      : words_(words), command_(command) {}

  Words read() {
    while (next_ < words_.size()) {
      const std::string& word = words_[next_++];
      if (word.starts_with("-") && word != "-")
        read_flag(word);
      else
        read_alone(word);
    }
    return std::move(result_);
  }

 private:
  void read_flag(const std::string& word) {
    const size_t equals = word.find('=');
    const std::string flag = word.substr(0, equals);
    const Option* option = flag.starts_with("--") ? find_option(flag.substr(2), command_) : nullptr;
    const std::string bare = flag.substr(std::min(flag.size(), flag.find_first_not_of('-')));
    CHECK(option, Exit::kUsage, "unknown flag {}: {}", flag, did_you_mean(bare, command_));
    if (equals != std::string::npos)
      add(*option, word.substr(equals + 1));
    else if (option->binding.type == ValueType::kFlag)
      add(*option, "true");
    else
      read_values(*option);
  }

  void read_values(const Option& option) {
    const auto has_value = [&] {
      return next_ < words_.size() && !words_[next_].starts_with("--");
    };
    CHECK(has_value(), Exit::kUsage, "--{} needs a value: {}", option.name, wanted(option));
    do add(option, words_[next_++]);
    while (option.binding.greedy && has_value());
  }

  void add(const Option& option, const std::string& text) {
    auto flag = std::find_if(result_.flags.begin(), result_.flags.end(),
                             [&](const auto& seen) { return seen.first == &option; });
    if (flag == result_.flags.end())
      flag = result_.flags.insert(flag, {&option, std::vector<Scalar>{}});
    if (!option.binding.list) flag->second.clear();
    for (auto& value : parse_text(option, text, "--" + option.name))
      flag->second.push_back(std::move(value));
  }

  void read_alone(const std::string& word) {
    CHECK(command_ != Command::kConvert, Exit::kUsage,
          "\"{}\" stands alone: convert takes --input and --output only", word);
    CHECK(!result_.alone, Exit::kUsage, "\"{}\" and \"{}\" stand alone: {} takes one {}",
          *result_.alone, word, name(command_),
          command_ == Command::kInspect ? "file" : "job file");
    result_.alone = word;
  }

  const std::vector<std::string>& words_;
  const Command command_;
  size_t next_ = 0;
  Words result_;
};

bool asks_for_help(const std::string& word) { return word == "--help" || word == "-h"; }

Job make_job(const std::vector<std::string>& words, Command command) {
  const Words sorted = WordReader(words, command).read();
  const auto here = std::filesystem::current_path();
  Job job;
  if (sorted.alone && command == Command::kInspect)
    job.file = (here / *sorted.alone).lexically_normal();
  else if (sorted.alone)
    read_job_file(*sorted.alone, command, job);
  for (const auto& [option, values] : sorted.flags)
    set_option(job, *option, values, here, "--" + option->name);
  return job;
}

CommandLine printed(std::string text) { return {std::move(text), std::nullopt, Job{}}; }

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& words) {
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
