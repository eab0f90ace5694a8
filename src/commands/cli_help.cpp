// Help texts, made from the list of options.
#include <fmt/format.h>

#include <string_view>

#include "commands/cli.hpp"
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

constexpr std::string_view kExitCodes =
    "EXIT CODES\n"
    "  0 all rows done       4 model            7 GPU\n"
    "  1 internal error      5 prompts          8 MPI\n"
    "  2 usage               6 output          10 rows failed (--strict)\n"
    "  3 no plan fits       75 stopped early, all is saved: start it again with --resume\n";

constexpr std::string_view kJobNote =
    "JOB is a TOML file whose keys are the flags below without the dashes. Flags beat the file, "
    "a later flag beats an earlier one. Relative paths start at the job file's folder in the "
    "file, and at the working directory in flags.";

struct Page {
  std::string_view summary;
  std::string_view synopsis;
  std::string_view description;
};

Page page(Command command) {
  switch (command) {
    case Command::kGenerate:
      return {
          "generate text for the rows of a prompts file",
          "llmpq generate [JOB] [--key value ...]\n"
          "  mpirun -n 3 llmpq generate job.toml --output answers.h5",
          "Each MPI rank holds some layers of the model; rank 0 plans, reads prompts and writes "
          "outputs. The result has the prompts' rows in their order."};
    case Command::kPlan:
      return {"print the plan that generate would run, without running it",
              "llmpq plan [JOB] [--key value ...]\n"
              "  mpirun -n 3 llmpq plan job.toml --format w4 --save-plan plan.json",
              "Prints which layers each rank gets, in which formats, and the bytes that it needs. "
              "Takes generate's job files."};
    case Command::kEval:
      return {"perplexity of a text under the plan that generate would run",
              "llmpq eval [JOB] --text FILE [--key value ...]\n"
              "  mpirun -n 3 llmpq eval job.toml --text heldout.txt --format w4",
              "Cuts the text's tokens into windows and scores each token once, but the first; "
              "special tokens are added once, at the beginning."};
    case Command::kConvert:
      return {"convert prompts and outputs between HDF5, JSONL, text and CSV",
              "llmpq convert --input FILE ... --output FILE\n"
              "  llmpq convert --input prompts.jsonl --output prompts.h5",
              "The kinds of the files follow from their names: .h5, .jsonl, .txt, .csv. Several "
              "inputs are the shards of one output, or files of prompts that are put in a row."};
    case Command::kInspect:
      return {"show a prompts file or an output, also of a running or killed job",
              "llmpq inspect FILE [--json]\n"
              "  llmpq inspect answers.h5",
              "Needs no mpirun. Where the output is not complete it shows OUTPUT.part."};
    case Command::kCheck:
      return {"show what each rank would compute on, and what would go wrong",
              "llmpq check [JOB] [--key value ...]\n"
              "  srun llmpq check job.toml",
              "Binds every rank as generate would, measures transfers between ranks and to GPUs, "
              "and opens the model if one is given. Exit code 0, or that of the first error that "
              "generate would stop with. Takes generate's job files."};
    case Command::kProfile:
      return {"measure how long the model's layers take on each rank's device",
              "llmpq profile [JOB] [--key value ...]\n"
              "  mpirun -n 3 llmpq profile --model DIR --load-format dummy --save-profile p.json",
              "Times layers in every format the job allows, embedding, head and links, on made-up "
              "weights of the model's shape; prints speeds and the error of the latency model that "
              "is fitted to them, and keeps it for the jobs to come. Takes generate's job files."};
    case Command::kBench:
      return {
          "how fast a job would run, without a dataset",
          "llmpq bench [JOB] [--key value ...]\n"
          "  mpirun -n 3 llmpq bench --model DIR --load-format dummy --input-len 512 "
          "--output-len 128 --num-prompts 64",
          "Runs random prompts through the pipeline that generate would run and writes nothing. "
          "Prints tokens per second, how each stage spent its time (computing, waiting for "
          "activations on their way, idle), and which shares of the memory's speed (MBU) and of "
          "the arithmetic's (MFU) it reached, against peaks that are measured first. Several "
          "strategies and mixes are shown side by side. Takes generate's job files."};
    case Command::kSensitivity:
      return {
          "how much each layer suffers from each weight format",
          "llmpq sensitivity [JOB] --text FILE --save-sensitivity FILE [--key value ...]\n"
          "  mpirun -n 3 llmpq sensitivity job.toml --text corpus.txt --save-sensitivity s.h5",
          "Runs the unquantized model over a text (or the job's prompts) once, on all ranks as "
          "generate would, and foresees what rounding each layer does. Then scores the text with "
          "some layers rounded, to learn what that means for the perplexity: first each format "
          "for all layers, then formats drawn by --seed for each layer."};
  }
  return {};
}

}  // namespace

std::string help_text() {
  std::string text =
      "llmpq generates text in bulk with a large language model over several MPI ranks, layer by\n"
      "layer at mixed bitwidths. Prompts come from HDF5 and outputs go to HDF5.\n\nCOMMANDS\n";
  for (const Command command :
       {Command::kGenerate, Command::kPlan, Command::kEval, Command::kConvert, Command::kInspect,
        Command::kCheck, Command::kSensitivity, Command::kProfile, Command::kBench})
    text += fmt::format("  {:<12}{}\n", name(command), page(command).summary);
  text += "\n  llmpq COMMAND --help    all options of a command\n";
  text += "  llmpq --help models     the model families\n";
  text += "  llmpq --version\n\n";
  return text + std::string(kExitCodes);
}

std::string models_text() {
  std::string text = "| models | `architectures` | `model_type` |\n|---|---|---|\n";
  for (const Family& family : families())
    text += fmt::format("| {} | `{}` | `{}` |\n", family.models, family.architecture, family.name);
  return text;
}

std::string help_text(Command command) {
  const Page about = page(command);
  std::string text =
      fmt::format("llmpq {}: {}\n\nUSAGE\n  {}\n\n", name(command), about.summary, about.synopsis);
  text += wrap(about.description, 0);
  const bool takes_job = command != Command::kConvert && command != Command::kInspect;
  if (takes_job) text += "\n" + wrap(kJobNote, 0);
  std::string group;
  for (const auto* option : options_of(command)) {
    if (option->group != group) text += fmt::format("\n{}\n", group = option->group);
    text += option_help(*option);
  }
  return text + "\n" + std::string(kExitCodes);
}

std::string version_text() { return "llmpq " LLMPQ_VERSION; }

}  // namespace llmpq
