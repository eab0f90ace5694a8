// Help texts, made from the list of options.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "commands/cli.hpp"
#include "commands/cli_pages.hpp"
#include "input/families.hpp"
#include "input/job_options.hpp"

namespace llmpq {
namespace {

constexpr size_t kWidth = 88;

/// `text` in lines of at most kWidth columns, each behind `indent` spaces.
std::string wrap(std::string_view text, size_t indent) {
  std::string result;
  std::string line(indent, ' ');
  bool empty = true;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (!empty && line.size() + 1 + word.size() > kWidth) {
      result += line + "\n";
      line.assign(indent, ' ');
      empty = true;
    }
    if (!empty) line += ' ';
    line += word;
    empty = false;
  }
  return result + line + "\n";
}

/// What stands behind the flag: `N`, `a|b|c`, `FILE`.
std::string placeholder(const Option& option) {
  const Binding& binding = option.binding;
  switch (binding.type) {
    case ValueType::kFlag:
      return "";
    case ValueType::kBytes:
      return " SIZE";
    case ValueType::kChoice: {
      if (binding.list) break;
      auto names = binding.choices;
      if (!binding.unset.empty()) names.insert(names.begin(), binding.unset);
      return fmt::format(" {}", fmt::join(names, "|"));
    }
    case ValueType::kInteger:
      if (!binding.list) return " N";
      break;
    case ValueType::kNumber:
      return " X";
    case ValueType::kText:
    case ValueType::kPath:
      break;
  }
  return " " + option.unit;
}

/// "Default: 256 tokens."; empty where there is none.
std::string default_text(const Option& option) {
  const Binding& binding = option.binding;
  if (binding.type == ValueType::kFlag) return "";
  const auto values = binding.get(Job{});
  if (values.empty()) return binding.unset.empty() ? "" : " Default: " + binding.unset + ".";
  const bool is_number = binding.type == ValueType::kInteger || binding.type == ValueType::kNumber;
  const std::string unit = is_number && !option.unit.empty() ? " " + option.unit : "";
  return fmt::format(" Default: {}{}.", to_text(option, values.front()), unit);
}

/// What the letter in the placeholder of a list stands for.
std::string choices_note(const Option& option) {
  if (option.binding.type != ValueType::kChoice || !option.binding.list) return "";
  return fmt::format(" {} is one of {}.", option.unit.substr(0, 1),
                     fmt::join(option.binding.choices, ", "));
}

std::string option_help(const Option& option) {
  return fmt::format("  --{}{}\n", option.name, placeholder(option)) +
         wrap(option.help + choices_note(option) + default_text(option), 8);
}

constexpr std::array kCommands{Command::kGenerate,    Command::kPlan,    Command::kEval,
                               Command::kConvert,     Command::kInspect, Command::kCheck,
                               Command::kSensitivity, Command::kProfile, Command::kBench};

constexpr std::string_view kJobNote =
    "JOB is a TOML file whose keys are the flags below without the dashes. Flags beat the file, "
    "a later flag beats an earlier one. Relative paths start at the job file's folder in the "
    "file, and at the working directory in flags. --print-config prints such a file.";

/// A heading with lines of two columns, the right one wrapped.
std::string columns(std::string_view heading, std::span<const HelpLine> lines) {
  constexpr size_t kIndent = 8;
  std::string text = fmt::format("\n{}\n", heading);
  for (const HelpLine& line : lines) {
    const std::string meaning = wrap(line.meaning, kIndent);
    const bool beside = line.what.size() + 3 < kIndent;
    text += beside ? fmt::format("  {:<{}}{}", line.what, kIndent - 2, meaning.substr(kIndent))
                   : fmt::format("  {}\n{}", line.what, meaning);
  }
  return text;
}

/// Of one command, or of all.
std::string exit_codes(std::string_view success, std::span<const int> codes) {
  std::vector<std::string> numbers{"0", "1", "2"};
  for (const int code : codes) numbers.push_back(std::to_string(code));
  std::vector<HelpLine> lines;
  for (const std::string& number : numbers)
    lines.push_back({number, number == "0" ? success : exit_meaning(std::stoi(number))});
  return columns("EXIT CODES", lines);
}

std::string examples(std::span<const HelpExample> list) {
  std::string text = "\nEXAMPLES\n";
  for (const HelpExample& example : list)
    text += wrap(fmt::format("{}:", example.purpose), 2) + fmt::format("    {}\n", example.line);
  return text;
}

std::string synopsis(std::string_view lines) {
  std::string text = "\nSYNOPSIS\n";
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    text += fmt::format("  {}\n", line);
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
  }
  return text;
}

std::string options_text(Command command) {
  std::string text = "\nOPTIONS\n", group;
  for (const auto* option : options_of(command)) {
    if (option->group != group)
      text += fmt::format("{}{}\n", group.empty() ? "" : "\n", option->group);
    group = option->group;
    text += option_help(*option);
  }
  return text;
}

}  // namespace

std::string help_text() {
  std::string text =
      "llmpq generates text in bulk with a large language model over several MPI ranks, layer by\n"
      "layer at mixed bitwidths. Prompts come from HDF5 and outputs go to HDF5.\n\nCOMMANDS\n";
  for (const Command command : kCommands)
    text += fmt::format("  {:<12}{}\n", name(command), help_page(command).summary);
  text += "\n  llmpq COMMAND --help    all about a command\n";
  text += "  llmpq --help models     the model families\n";
  text += "  llmpq --version\n";
  return text + columns("ENVIRONMENT", environment_lines()) +
         exit_codes("done", help_page(Command::kGenerate).codes);
}

std::string models_text() {
  std::string text = "| models | `architectures` | `model_type` |\n|---|---|---|\n";
  for (const Family& family : families())
    text += fmt::format("| {} | `{}` | `{}` |\n", family.models, family.architecture, family.name);
  return text;
}

std::string help_text(Command command) {
  const HelpPage page = help_page(command);
  std::string text = fmt::format("NAME\n  llmpq {} - {}\n", name(command), page.summary);
  text += synopsis(page.synopsis) + "\nDESCRIPTION\n" + wrap(page.description, 2);
  const bool takes_job = command != Command::kConvert && command != Command::kInspect;
  if (takes_job) text += "\n" + wrap(kJobNote, 2);
  text += options_text(command);
  if (!page.files.empty()) text += columns("FILES", page.files);
  text += exit_codes(page.success, page.codes) + examples(page.examples);
  return text + fmt::format("\nSEE ALSO\n  llmpq --help (environment), llmpq COMMAND --help: {}\n",
                            page.more);
}

std::string version_text() { return "llmpq " LLMPQ_VERSION; }

}  // namespace llmpq
