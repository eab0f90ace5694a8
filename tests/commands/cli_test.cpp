#include "commands/cli.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "base/temp_folder.hpp"
#include "commands/cli_pages.hpp"
#include "input/job_options.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// This process's own: tests run side by side.
const std::filesystem::path& folder() {
  static const TempFolder folder;
  return folder.path();
}

/// A job file with these lines; flags that generate needs are in it.
std::string job_file(const std::string& lines) {
  const std::string path = folder() / "job.toml";
  std::ofstream(path) << "model = 'm'\nprompts = 'p'\noutput = 'o'\n" << lines;
  return path;
}

std::string error_of(const std::vector<std::string>& words) {
  try {
    parse_command_line(words);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kUsage);
    return error.what();
  }
  return "";
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(CommandLine, HelpOfACommandHasEachOfItsOptionsOnce) {
  for (const Command command :
       {Command::kGenerate, Command::kPlan, Command::kEval, Command::kConvert, Command::kInspect,
        Command::kCheck, Command::kSensitivity, Command::kBench}) {
    std::string help = help_text(command);
    help.erase(0, help.find("\nOPTIONS\n"));
    for (const auto& option : options()) {
      const bool has = find_option(option.name, command) != nullptr;
      const std::string start = "\n  --" + option.name;
      EXPECT_EQ(count(help, start + " ") + count(help, start + "\n"), has ? 1u : 0u)
          << name(command) << " " << option.name;
    }
  }
}

constexpr std::array kAll{Command::kGenerate,    Command::kPlan,    Command::kEval,
                          Command::kConvert,     Command::kInspect, Command::kCheck,
                          Command::kSensitivity, Command::kProfile, Command::kBench};

TEST(CommandLine, HelpIsAManualPage) {
  for (const Command command : kAll) {
    const std::string help = help_text(command);
    size_t at = 0;
    for (const std::string heading :
         {"NAME\n  llmpq ", "\nSYNOPSIS\n  llmpq ", "\nDESCRIPTION\n", "\nOPTIONS\n",
          "\nEXIT CODES\n  0 ", "\nEXAMPLES\n", "\nSEE ALSO\n"}) {
      at = help.find(heading, at);
      ASSERT_NE(at, std::string::npos) << name(command) << heading;
    }
    for (const int code : help_page(command).codes) EXPECT_NE(exit_meaning(code), "") << code;
    EXPECT_THAT(help_text(), HasSubstr(std::string(help_page(command).summary)));
  }
}

/// Every example parses: its flags are the command's, their values right, and none is missing.
TEST(CommandLine, TheExamplesOfTheHelpAreRight) {
  for (const Command command : kAll) {
    EXPECT_FALSE(help_page(command).examples.empty());
    for (const HelpExample& example : help_page(command).examples) {
      std::istringstream line{std::string(example.line)};
      std::vector<std::string> words;
      for (std::string word; line >> word;)
        words.push_back(word == "job.toml" ? job_file("") : word);
      const auto program = std::find(words.begin(), words.end(), "llmpq");
      ASSERT_NE(program, words.end()) << example.line;
      words.erase(words.begin(), program + 1);
      EXPECT_EQ(parse_command_line(words).command, command) << example.line;
    }
  }
}

TEST(CommandLine, HelpShowsDefaultsAndUnits) {
  const std::string help = help_text(Command::kGenerate);
  EXPECT_THAT(help, HasSubstr("--max-tokens N\n"));
  EXPECT_THAT(help, HasSubstr("Default: 256 tokens."));
  EXPECT_THAT(help, HasSubstr("--kv-cache-dtype auto|f32|bf16|f16|int8\n"));
  EXPECT_THAT(help, HasSubstr("Default: 300 seconds."));
  EXPECT_THAT(help, Not(HasSubstr("Default: false")));
}

TEST(CommandLine, HelpAndVersionWinOverEverything) {
  EXPECT_EQ(parse_command_line({}).print, help_text());
  EXPECT_EQ(parse_command_line({"--help"}).print, help_text());
  EXPECT_EQ(parse_command_line({"--version"}).print, version_text() + "\n");
  EXPECT_EQ(parse_command_line({"generate", "no such file", "--nonsense", "--help"}).print,
            help_text(Command::kGenerate));
}

TEST(CommandLine, FlagsBeatTheFileAndLaterFlagsEarlierOnes) {
  const std::string file = job_file("seed = 1\nmax-tokens = 7\nstop = ['a', 'b']\nstrict = true\n");
  const CommandLine request =
      parse_command_line({"generate", "--seed=2", file, "--seed", "3", "--stop", "c", "--stop",
                          "-d", "--strict=false", "--presence-penalty", "-1.5"});
  EXPECT_EQ(request.command, Command::kGenerate);
  EXPECT_TRUE(request.print.empty());
  EXPECT_EQ(request.job.seed, 3u);
  EXPECT_EQ(request.job.sampling.max_tokens, 7);
  EXPECT_THAT(request.job.sampling.stop, ElementsAre("c", "-d"));
  EXPECT_FALSE(request.job.strict);
  EXPECT_EQ(request.job.sampling.presence_penalty, -1.5f);
}

TEST(CommandLine, TheJobFilesOfTheRepositoryAreRight) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LLMPQ_DATA "/../jobs")) {
    if (entry.path().extension() != ".toml") continue;
    ++files;
    const bool is_bench = entry.path().stem() == "bench";
    const CommandLine line =
        parse_command_line({is_bench ? "bench" : "generate", entry.path().string()});
    EXPECT_EQ(line.job.model.filename(), "tiny") << entry.path();
    EXPECT_EQ(line.job.output.stem(), is_bench ? "" : entry.path().stem());
  }
  EXPECT_GE(files, 3);
}

TEST(CommandLine, RelativePathsStartWhereTheyAreWritten) {
  const CommandLine request = parse_command_line({"generate", job_file(""), "--output", "out.h5"});
  EXPECT_EQ(request.job.model, folder() / "m");
  EXPECT_EQ(request.job.output, std::filesystem::current_path() / "out.h5");
}

TEST(CommandLine, ListsOfFormatsAndLayers) {
  const CommandLine request =
      parse_command_line({"plan", "--model", "m", "--format", "w8,w4", "--layers-per-stage=1,1"});
  EXPECT_THAT(request.job.format, ElementsAre(Format::kW8, Format::kW4));
  EXPECT_THAT(request.job.layers_per_stage, ElementsAre(1, 1));
}

TEST(CommandLine, ConvertTakesSeveralInputs) {
  const CommandLine request =
      parse_command_line({"convert", "--input", "/a", "/b", "--input", "/c", "--output", "/d"});
  EXPECT_THAT(request.job.input, ElementsAre("/a", "/b", "/c"));
  EXPECT_THAT(error_of({"convert", "a.jsonl"}), HasSubstr("\"a.jsonl\" stands alone"));
}

TEST(CommandLine, InspectTakesAFile) {
  const CommandLine request = parse_command_line({"inspect", "/out.h5", "--json"});
  EXPECT_EQ(request.job.file, "/out.h5");
  EXPECT_TRUE(request.job.json);
  EXPECT_THAT(error_of({"inspect"}), HasSubstr("inspect needs a file"));
  EXPECT_THAT(error_of({"inspect", "a", "b"}), HasSubstr("takes one file"));
}

TEST(CommandLine, CheckTakesAJobFileOrNone) {
  EXPECT_EQ(parse_command_line({"check"}).command, Command::kCheck);
  const CommandLine request =
      parse_command_line({"check", job_file("max-tokens = 3\n"), "--backend", "cuda,cpu",
                          "--emulate", "none", "--emulate", "memory=1GiB", "--share-gpu"});
  EXPECT_EQ(request.job.model.filename(), "m");
  EXPECT_THAT(request.job.backend, ElementsAre(BackendWish::kCuda, BackendWish::kCpu));
  EXPECT_THAT(request.job.emulate, ElementsAre("none", "memory=1GiB"));
  EXPECT_TRUE(request.job.share_gpu);
  EXPECT_THAT(help_text(Command::kCheck), HasSubstr("B is one of auto, cpu, cuda. Default: auto."));
}

TEST(CommandLine, CheckMayStandInThePlaceOfGenerate) {
  for (const Option* option : options_of(Command::kGenerate))
    EXPECT_NE(find_option(option->name, Command::kCheck), nullptr) << option->name;
  const CommandLine request = parse_command_line(
      {"check", "--model", "m", "--prompts", "p.h5", "--output", "o.h5", "--max-tokens", "4"});
  EXPECT_EQ(request.job.prompts.filename(), "p.h5");
  EXPECT_EQ(request.job.sampling.max_tokens, 4);
}

TEST(CommandLine, WrongUsageIsASentence) {
  EXPECT_EQ(error_of({"generat"}), "unknown command \"generat\": did you mean generate?");
  EXPECT_EQ(error_of({"xyz"}),
            "unknown command \"xyz\": want one of generate, plan, eval, convert, inspect, check, "
            "sensitivity, profile, bench");
  EXPECT_EQ(error_of({"generate", "--max-token", "3"}),
            "unknown flag --max-token: did you mean --max-tokens?");
  EXPECT_EQ(error_of({"generate", "--temprature=1", "job.toml"}),
            "unknown flag --temprature: did you mean --temperature?");
  EXPECT_THAT(error_of({"generate", job_file("temprature = 1\n")}),
              HasSubstr("unknown key \"temprature\": did you mean temperature?"));
  EXPECT_EQ(error_of({"generate", "-x"}),
            "unknown flag -x: llmpq generate --help lists all options");
  EXPECT_THAT(error_of({"generate", "--"}), HasSubstr("unknown flag --"));
  EXPECT_EQ(error_of({"generate", "--max-tokens"}),
            "--max-tokens needs a value: an integer from 1 to 2147483647 (tokens)");
  EXPECT_THAT(error_of({"generate", "--max-tokens", "--seed"}), HasSubstr("needs a value"));
  EXPECT_THAT(error_of({"generate", "--max-tokens", "9x"}), HasSubstr("--max-tokens is \"9x\""));
  EXPECT_THAT(error_of({"generate", "--max-tokens", "0"}), HasSubstr("--max-tokens is 0: want"));
  EXPECT_THAT(error_of({"generate", "--overwrite=1"}), HasSubstr("want true or false"));
  EXPECT_THAT(error_of({"generate", "no.toml"}), HasSubstr("job file no.toml: No such file"));
  EXPECT_THAT(error_of({"generate", "--model", "m"}), HasSubstr("generate needs --prompts FILE"));
}

TEST(CommandLine, WordsThatLookLikeSomethingElse) {
  // Names of commands, brackets and "++" mean nothing behind a command.
  EXPECT_EQ(parse_command_line({"inspect", "/plan"}).job.file, "/plan");
  EXPECT_EQ(parse_command_line({"inspect", "plan"}).job.file.filename(), "plan");
  EXPECT_THAT(
      parse_command_line({"convert", "--input", "/[a,b]", "/eval", "--output=/plan"}).job.input,
      ElementsAre("/[a,b]", "/eval"));
  const auto stops = parse_command_line({"generate", job_file(""), "--stop", "++", "--stop",
                                         "[a,b]", "--stop=--seed", "--stop", "x=", "--stop", "-1"});
  EXPECT_THAT(stops.job.sampling.stop, ElementsAre("++", "[a,b]", "--seed", "x=", "-1"));
  EXPECT_THAT(error_of({"inspect", "++"}), HasSubstr("unknown flag ++"));
  EXPECT_THAT(error_of({"inspect", "a", "--"}), HasSubstr("unknown flag --:"));
  EXPECT_THAT(error_of({"generate", "-1"}), HasSubstr("unknown flag -1:"));
  EXPECT_THAT(error_of({"convert", "--input", "/a", "-o", "/d"}), HasSubstr("unknown flag -o:"));
  EXPECT_THAT(error_of({"--seed", "generate"}), HasSubstr("unknown command \"--seed\""));
}

TEST(CommandLine, AnEmptyValueIsAValue) {
  EXPECT_THAT(error_of({"generate", "--seed=", "7"}), HasSubstr("--seed is \"\": want"));
  EXPECT_THAT(error_of({"generate", "--seed", "", "7"}), HasSubstr("--seed is \"\": want"));
  EXPECT_EQ(error_of({"generate", "--strict=", "7"}), "--strict needs a value: true or false");
  EXPECT_EQ(parse_command_line({"inspect", "--json", "/7"}).job.file, "/7");
}

TEST(CommandLine, PrintConfigShowsTheJobAndIsAJobFile) {
  const std::string file = job_file("");
  const CommandLine request =
      parse_command_line({"generate", file, "--seed", "9", "--print-config"});
  EXPECT_THAT(request.print, HasSubstr("\nseed = 9\n"));
  EXPECT_THAT(request.print, HasSubstr("model = \"" + folder().string()));
  const std::string printed = folder() / "printed.toml";
  std::ofstream(printed) << request.print;
  const CommandLine again = parse_command_line({"generate", printed});
  EXPECT_EQ(job_to_toml(again.job, Command::kGenerate), request.print);
}

/// The README's table is the program's.
TEST(Cli, TheReadmeHasTheTableOfModels) {
  std::ifstream file(std::filesystem::path(LLMPQ_DATA).parent_path() / "README.md");
  const std::string readme{std::istreambuf_iterator<char>(file), {}};
  EXPECT_NE(readme.find("\n\n" + models_text() + "\n"), std::string::npos)
      << "put this into README.md:\n"
      << models_text();
  EXPECT_EQ(parse_command_line({"--help", "models"}).print, models_text());
  EXPECT_NE(models_text().find("| Gemma 2 | `Gemma2ForCausalLM` | `gemma2` |"), std::string::npos);
}

}  // namespace
}  // namespace llmpq
