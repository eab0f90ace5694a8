// Bad input gets a sentence that names the thing, the value and the way out, and its exit code;
// what cannot be run of a good file becomes a row in error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "base/hdf5.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"
#include "program/run_shell.hpp"

namespace llmpq::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kTiny = fs::path(LLMPQ_DATA) / "tiny";

std::string text_of(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

void replace(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = text_of(path);
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << path << " has no " << from;
  write(path, text.replace(at, from.size(), to));
}

class Errors : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(model());
    for (const char* name : {"config.json", "generation_config.json", "tokenizer.json",
                             "tokenizer_config.json", "model.safetensors"})
      if (fs::exists(kTiny / name)) fs::copy(kTiny / name, model() + "/" + name);
    write_prompts(prompts(), {"Once upon a time", "The cat"});
  }

  std::string model() const { return scratch_.path("model"); }
  std::string prompts() const { return scratch_.path("prompts.h5"); }
  std::string output() const { return scratch_.path("out.h5"); }
  std::string in_model(const std::string& name) const { return model() + "/" + name; }

  ProgramRun generate(std::vector<std::string> more = {}, int ranks = 0) const {
    std::vector<std::string> words{"generate", "--model", model(),        "--prompts", prompts(),
                                   "--output", output(),  "--max-tokens", "4"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, ranks);
  }

  /// The same sentence and code on one rank and on two, told once.
  void expect_error(int code, const std::string& sentence, std::vector<std::string> more = {}) {
    for (const int ranks : {0, 2}) {
      SCOPED_TRACE(std::to_string(ranks) + " ranks");
      const ProgramRun run = generate(more, ranks);
      EXPECT_EQ(run.exit_code, code) << run.err;
      EXPECT_THAT(run.err, HasSubstr(sentence));
      const size_t first = run.err.find("llmpq: error:");
      ASSERT_NE(first, std::string::npos) << run.err;
      EXPECT_EQ(run.err.find("llmpq: error:", first + 1), std::string::npos) << run.err;
      EXPECT_FALSE(fs::exists(output()));
    }
  }

  /// Rewrites the JSON header of model.safetensors.
  void edit_header(const std::function<void(std::string&)>& edit) {
    std::string file = text_of(in_model("model.safetensors"));
    uint64_t length = 0;
    std::memcpy(&length, file.data(), 8);
    std::string header = file.substr(8, length);
    edit(header);
    ASSERT_LE(header.size(), length);
    header.resize(length, ' ');
    write(in_model("model.safetensors"), file.replace(8, length, header));
  }

  Scratch scratch_;
};

TEST_F(Errors, GoodInputRuns) {
  const ProgramRun run = generate({}, 2);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(read_output(output()).size(), 2u);
}

TEST_F(Errors, MissingSafetensors) {
  fs::remove(in_model("model.safetensors"));
  expect_error(4, "safetensors");
}

TEST_F(Errors, TruncatedSafetensors) {
  fs::resize_file(in_model("model.safetensors"), 100'000);
  expect_error(4, "model.safetensors");
}

TEST_F(Errors, HeaderLengthOf2To63) {
  std::string file = text_of(in_model("model.safetensors"));
  const uint64_t length = uint64_t{1} << 63;
  std::memcpy(file.data(), &length, 8);
  write(in_model("model.safetensors"), file);
  expect_error(4, "9223372036854775808");
}

TEST_F(Errors, OverlappingTensors) {
  edit_header([](std::string& header) {
    // The second tensor begins where the first one does.
    const size_t first = header.find("\"data_offsets\":[") + 16;
    const std::string begin = header.substr(first, header.find(',', first) - first);
    const size_t second = header.find("\"data_offsets\":[", first) + 16;
    header.replace(second, header.find(',', second) - second, begin);
  });
  expect_error(4, "model.safetensors");
}

TEST_F(Errors, WrongDtype) {
  edit_header([](std::string& header) { header.replace(header.find("\"BF16\""), 6, "\"I16\""); });
  expect_error(4, "I16");
}

TEST_F(Errors, WrongShape) {
  replace(in_model("config.json"), "\"intermediate_size\": 512", "\"intermediate_size\": 500");
  expect_error(4, "500");
}

TEST_F(Errors, UnknownArchitecture) {
  replace(in_model("config.json"), "\"model_type\": \"llama\"", "\"model_type\": \"lama3\"");
  expect_error(4, "lama3");
}

class BadSizes : public Errors, public testing::WithParamInterface<std::string> {};

TEST_P(BadSizes, InConfig) {
  replace(in_model("config.json"), "\"hidden_size\": 192", "\"hidden_size\": " + GetParam());
  expect_error(4, "hidden_size");
}
INSTANTIATE_TEST_SUITE_P(Errors, BadSizes,
                         testing::Values("-192", "0", "99999999999999", "\"many\"", "1.5"));

TEST_F(Errors, TokenizerWithoutModel) {
  write(in_model("tokenizer.json"), R"({"version": "1.0", "added_tokens": []})");
  expect_error(4, "tokenizer.json");
}

TEST_F(Errors, TextPromptsWithoutTokenizer) {
  fs::remove(in_model("tokenizer.json"));
  expect_error(4, "tokenizer.json");
}

TEST_F(Errors, PromptsAreNoHdf5) {
  write(prompts(), "Once upon a time\n");
  expect_error(5, "prompts.h5");
}

TEST_F(Errors, PromptsAreMissing) {
  fs::remove(prompts());
  expect_error(5, "prompts.h5");
}

TEST_F(Errors, PromptDatasetIsMissing) {
  h5::File::create(prompts(), false, Exit::kPrompts);
  expect_error(5, "/prompt");
}

TEST_F(Errors, PromptDatasetHasNumbers) {
  const std::vector<int32_t> values{1, 2, 3};
  h5::File::create(prompts(), false, Exit::kPrompts)
      .create_dataset("prompt", {h5::value_type<int32_t>(), 16, {}})
      .write(0, std::span<const int32_t>(values));
  expect_error(5, "int32");
}

TEST_F(Errors, ColumnOfAnotherLength) {
  write_prompts(prompts(), {"a", "b"}, {.seed = {1, 2, 3}, .max_tokens = {}});
  expect_error(5, "seed");
}

TEST_F(Errors, ColumnOfAnOptionThatRowsCannotHave) {
  write_prompts(prompts(), {"a"}, {{}, {}, {{"stop_token_ids", {3}}, {"note", {1}}}});
  const ProgramRun run = generate();
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("dataset stop_token_ids is ignored: rows cannot have it, "
                                 "--stop-token-ids holds for all of them"));
  EXPECT_THAT(run.err, HasSubstr("dataset note is not known and ignored"));
}

TEST_F(Errors, EmptyDatasetGivesCompleteEmptyOutput) {
  write_prompts(prompts(), {});
  const ProgramRun run = generate({}, 2);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(read_output(output()).empty());
}

TEST_F(Errors, BadRowsAreRowsInErrorAndTheOthersRun) {
  std::string story;
  for (int i = 0; i < 400; ++i) story += " the dog ran";
  write_prompts(prompts(), {"Once upon a time", "bad \xff\xfe bytes", "", story, "The cat"});
  ASSERT_EQ(generate({}, 2).exit_code, 0);
  const auto rows = read_output(output());
  ASSERT_EQ(rows.size(), 5u);
  const std::vector<std::string> status{"ok", "failed", "failed", "failed", "ok"};
  const std::vector<std::string> sentence{"", "UTF-8", "empty", "truncate-prompt", ""};
  for (size_t i = 0; i < rows.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(rows[i].status, status[i]);
    EXPECT_THAT(rows[i].error, HasSubstr(sentence[i]));
    if (status[i] == "ok") continue;
    EXPECT_EQ(rows[i].finish_reason, "error");
    EXPECT_TRUE(rows[i].token_ids.empty());
    EXPECT_EQ(rows[i].prompt_tokens, -1);
    EXPECT_EQ(rows[i].completion_tokens, -1);
    EXPECT_EQ(rows[i].plan_index, -1);
  }
  fs::remove(output());
  EXPECT_EQ(generate({"--strict"}, 2).exit_code, 10);
  EXPECT_EQ(read_output(output()).size(), 5u) << "--strict changes the exit code, not the output";
}

TEST_F(Errors, TruncatePromptKeepsTheSideAskedFor) {
  std::string story;
  for (int i = 0; i < 400; ++i) story += " the dog ran";
  write_prompts(prompts(), {story});
  for (const char* side : {"left", "right"}) {
    fs::remove(output());
    ASSERT_EQ(generate({"--truncate-prompt", side}).exit_code, 0);
    const auto rows = read_output(output());
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].status, "ok") << rows[0].error;
    EXPECT_EQ(rows[0].prompt_tokens, 512 - 4);
  }
}

TEST_F(Errors, OutputCannotBeWritten) {
  const ProgramRun run = run_program({"generate", "--model", model(), "--prompts", prompts(),
                                      "--output", scratch_.path("no/such/folder/out.h5")},
                                     2);
  EXPECT_EQ(run.exit_code, 6) << run.err;
  EXPECT_THAT(run.err, HasSubstr("no/such/folder"));
}

TEST_F(Errors, OutputThatExistsIsKept) {
  ASSERT_EQ(generate().exit_code, 0);
  const std::string before = text_of(output());
  const ProgramRun refused = generate({"--max-tokens", "2"}, 2);
  EXPECT_EQ(refused.exit_code, 6);
  EXPECT_THAT(refused.err, HasSubstr("--overwrite"));
  EXPECT_EQ(text_of(output()), before);
  EXPECT_EQ(generate({"--max-tokens", "2", "--overwrite"}, 2).exit_code, 0);
  EXPECT_EQ(read_output(output()).at(0).completion_tokens, 2);
}

TEST_F(Errors, StageAskedForOnMoreRanksThanThereAre) {
  expect_error(2, "layers-per-stage", {"--layers-per-stage", "1,1,1,1,1,1,1,1,1"});
}

TEST_F(Errors, UniformStrategyWantsALayerForEachRank) {
  const ProgramRun run = generate({"--strategy", "uniform"}, 9);
  EXPECT_EQ(run.exit_code, 2) << run.err;
  EXPECT_THAT(run.err, HasSubstr("9"));
  const ProgramRun spare = generate({}, 9);
  EXPECT_EQ(spare.exit_code, 0) << spare.err;
}

TEST_F(Errors, PlanForAnotherModel) {
  const std::string plan = scratch_.path("plan.json");
  ASSERT_EQ(generate({"--save-plan", plan}).exit_code, 0);
  fs::remove(output());
  replace(plan, "\"model\": \"model\"", "\"model\": \"llama-70b\"");
  expect_error(4, "llama-70b", {"--plan", plan});
}

TEST_F(Errors, PlanThatDoesNotFit) { expect_error(3, "fit", {"--memory-limit", "300KiB"}); }

TEST_F(Errors, UnknownFlagNamesTheNearest) {
  expect_error(2, "--temperature", {"--temprature", "0"});
}

TEST_F(Errors, UnknownKeyNamesTheNearest) {
  write(scratch_.path("job.toml"), "temprature = 0\n");
  const ProgramRun run = run_program({"generate", scratch_.path("job.toml")});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("temperature"));
}

TEST_F(Errors, APlaceThatCannotBeWrittenIsToldBeforeAnythingIsComputed) {
  const std::string text = kTiny / "heldout.txt", none = scratch_.path("none/file");
  const std::vector<std::vector<std::string>> commands = {
      {"generate", "--prompts", prompts(), "--output", output(), "--trace", none},
      {"plan", "--save-plan", none},
      {"plan", "--cluster", "paper-01", "--svg", none},
      {"profile", "--save-profile", none},
      {"bench", "--svg", none},
      {"eval", "--text", text, "--save-plan", none},
      {"sensitivity", "--text", text, "--save-sensitivity", none}};
  for (std::vector<std::string> words : commands) {
    words.insert(words.begin() + 1, {"--model", model()});
    const ProgramRun run = run_program(words);
    EXPECT_EQ(run.exit_code, 6) << words[0] << ": " << run.err;
    EXPECT_EQ(run.err, "llmpq: error: " + none + ": the folder " + scratch_.path("none") +
                           " does not exist; create it or choose another output\n");
  }
}

TEST_F(Errors, AResultThatCannotBePrintedIsNoSuccess) {
  const auto print_to = [](const std::string& to, const std::string& what) {
    return run_shell({"sh", "-c", std::string(LLMPQ_PROGRAM) + " " + what + " " + to});
  };
  const ShellRun full = print_to(">/dev/full", "--help");
  EXPECT_EQ(full.exit_code, 6);
  EXPECT_EQ(full.out, "llmpq: error: stdout: No space left on device\n");
  const ShellRun unread =
      run_shell({"bash", "-c",
                 std::string(LLMPQ_PROGRAM) + " generate --help | true; echo ${PIPESTATUS[0]}"});
  EXPECT_EQ(unread.out, "0\n") << "nobody wants it";
}

TEST_F(Errors, WhatIsSaidGoesIntoNoFileWhereStderrIsClosed) {
  write(scratch_.path("in.jsonl"), "{\"prompt\": \"a\", \"unknown\": 1}\n");
  const ShellRun run =
      run_shell({"sh", "-c",
                 std::string(LLMPQ_PROGRAM) + " convert --input " + scratch_.path("in.jsonl") +
                     " --output " + scratch_.path("out.jsonl") + " >&- 2>&- <&-"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(text_of(scratch_.path("out.jsonl")), "{\"prompt\":\"a\"}\n");
}

}  // namespace
}  // namespace llmpq::test
