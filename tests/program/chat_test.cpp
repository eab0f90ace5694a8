// Chats as a user runs them: rows of messages in JSONL, converted, rendered by the model's template
// and generated from, are what a run on the rendered prompts gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

namespace fs = std::filesystem;
using Flags = std::vector<std::string>;
using testing::HasSubstr;

constexpr auto kTemplate = R"({%- for message in messages -%}
{%- if message.role == 'system' -%}
{{ message.content | trim }} {% elif message.role == 'user' -%}
Question: {{ message['content'] | trim }}
{% elif message.role == 'assistant' -%}
Answer: {{ message.content }}
{% else -%}
{{ raise_exception('no role ' + message.role) }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}Answer:{% endif -%})";

constexpr auto kChats =
    R"({"custom_id": "a", "messages": [{"role": "user", "content": "what is 16 plus 19?"}]})"
    "\n"
    R"({"custom_id": "b", "messages": [{"role": "system", "content": " Be brief. "}, )"
    R"({"role": "user", "content": "which is larger, 4 or 20?"}, )"
    R"({"role": "assistant", "content": "20"}, {"role": "user", "content": "what is 3 plus 4?"}]})"
    "\n"
    R"({"custom_id": "c", "messages": [{"role": "user", "content": "what is 13 minus 7?"}], )"
    R"("add_generation_prompt": false})"
    "\n"
    R"({"custom_id": "d", "messages": [{"role": "robot", "content": "beep"}]})"
    "\n";

/// What the template makes of them, worked out by hand; the last one is refused.
const std::vector<std::string> kRendered{
    "Question: what is 16 plus 19?\nAnswer:",
    "Be brief. Question: which is larger, 4 or 20?\nAnswer: 20\nQuestion: what is 3 plus 4?\n"
    "Answer:",
    "Question: what is 13 minus 7?\n"};

class Chat : public testing::Test {
 protected:
  /// The tiny model's files and, if wanted, a template beside them.
  std::string model(bool with_template) const {
    const fs::path folder = scratch_.path(with_template ? "chatty" : "silent");
    fs::create_directory(folder);
    for (const auto& file : fs::directory_iterator(kTiny))
      if (file.is_regular_file()) fs::create_symlink(file.path(), folder / file.path().filename());
    if (with_template) std::ofstream(folder / "chat_template.jinja") << kTemplate;
    return folder;
  }
  std::string convert(const std::string& input, const std::string& output,
                      const Flags& more = {}) const {
    Flags words{"convert", "--input", input, "--output", scratch_.path(output)};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramRun run = run_program(words);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return scratch_.path(output);
  }
  ProgramRun generate(const Flags& more, int ranks) const {
    Flags words{"generate", "--output", scratch_.path("out.h5"), "--overwrite",
                "--format", "w4",       "--temperature",         "0",
                "--seed",   "3",        "--max-tokens",          "12"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, ranks);
  }
  std::vector<OutputRow> rows_of(const Flags& more, int ranks) const {
    const ProgramRun run = generate(more, ranks);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run.exit_code == 0 ? read_output(scratch_.path("out.h5")) : std::vector<OutputRow>{};
  }

  Scratch scratch_;
};

TEST_F(Chat, GivesWhatTheRenderedPromptsGive) {
  const std::string folder = model(true), lines = scratch_.path("chat.jsonl");
  std::ofstream(lines) << kChats;
  const std::string chats = convert(lines, "chat.h5");
  write_prompts(scratch_.path("rendered.h5"), kRendered);
  const auto want = rows_of({"--model", folder, "--prompts", scratch_.path("rendered.h5")}, 0);
  ASSERT_EQ(want.size(), 3u);
  EXPECT_THAT(want[0].text, HasSubstr("35")) << "the model knows this one";

  auto got = rows_of({"--model", folder, "--prompts", chats, "--chat"}, 2);
  ASSERT_EQ(got.size(), 4u);
  EXPECT_EQ(got[3].status, "failed");
  EXPECT_THAT(got[3].error, HasSubstr("no role robot"));
  got.pop_back();
  EXPECT_EQ(got, want);

  const std::string good = scratch_.path("good.jsonl");
  std::ofstream(good) << std::string(kChats).substr(
      0, std::string(kChats).find("{\"custom_id\": \"d\""));
  const std::string ids =
      convert(good, "ids.h5", {"--chat", "--to", "token-ids", "--model", folder});
  EXPECT_EQ(rows_of({"--model", folder, "--prompts", ids}, 3), want);
}

/// Tasks may be chats too; the answer is the whole reply, unless --stop ends it.
TEST_F(Chat, TasksAreAnsweredAsChats) {
  const std::string tasks = scratch_.path("tasks.jsonl");
  std::ofstream(tasks)
      << R"({"messages": [{"role": "user", "content": "what is 16 plus 19?"}], "answer": "35"})"
      << "\n"
      << R"({"messages": [{"role": "user", "content": "what is 16 plus 19?"}], "answer": "36"})"
      << "\n";
  const ProgramRun run = run_program({"eval", "--model", model(true), "--tasks", tasks, "--chat",
                                      "--stop", "\n", "--max-tokens", "12", "--log-level", "error"},
                                     2);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, testing::ContainsRegex("all +2 +1 +50.0%"));
}

TEST_F(Chat, SaysWhatIsMissing) {
  const std::string lines = scratch_.path("chat.jsonl");
  std::ofstream(lines) << kChats;
  const std::string chats = convert(lines, "chat.h5");
  const std::string chatty = model(true);
  const ProgramRun plain = run_program({"plan", "--model", chatty, "--prompts", chats});
  EXPECT_EQ(plain.exit_code, 0);
  EXPECT_THAT(plain.err, HasSubstr("--chat makes prompts of them"));
  const ProgramRun rendered =
      run_program({"bench", "--model", chatty, "--prompts", chats, "--chat", "--output-len", "2",
                   "--warmup", "0", "--repetitions", "1"});
  EXPECT_EQ(rendered.exit_code, 0) << rendered.err;
  EXPECT_THAT(rendered.err, testing::Not(HasSubstr("--chat makes prompts of them")));
  const ProgramRun silent = generate({"--model", model(false), "--prompts", chats, "--chat"}, 2);
  EXPECT_EQ(silent.exit_code, 4);
  EXPECT_THAT(silent.err, HasSubstr("chat_template"));
  std::ofstream(chatty + "/chat_template.jinja") << "{% include 'other' %}";
  const ProgramRun strange = generate({"--model", chatty, "--prompts", chats, "--chat"}, 0);
  EXPECT_EQ(strange.exit_code, 4);
  EXPECT_THAT(strange.err, HasSubstr("include"));
}

}  // namespace
}  // namespace llmpq::test
