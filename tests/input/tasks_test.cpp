#include "input/tasks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/expect_error.hpp"
#include "base/temp_folder.hpp"

namespace llmpq {
namespace {

class Tasks : public testing::Test {
 protected:
  std::string file(const std::string& text) const {
    const std::string path = folder_ / "tasks.jsonl";
    std::ofstream(path) << text;
    return path;
  }
  TempFolder folder_;
};

TEST_F(Tasks, AreLinesWithPromptAndAnswers) {
  const auto tasks = read_tasks(file("{\"prompt\": \"1 + 1 =\", \"answer\": \"2\"}\r\n"
                                     "  \n"
                                     "{\"prompt\": \"p\", \"answers\": [\"a\", \"b\"], "
                                     "\"kind\": \"k\", \"source\": 3}"),
                                false);
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0].prompt, "1 + 1 =");
  EXPECT_THAT(tasks[0].answers, testing::ElementsAre("2"));
  EXPECT_EQ(tasks[0].kind, "");
  EXPECT_THAT(tasks[1].answers, testing::ElementsAre("a", "b"));
  EXPECT_EQ(tasks[1].kind, "k");
}

TEST_F(Tasks, ChatsAreMessages) {
  const std::string line =
      "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"answer\": \"ho\"}";
  const auto tasks = read_tasks(file(line), true);
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_THAT(tasks[0].prompt, testing::HasSubstr("\"role\":\"user\""));
  EXPECT_ERROR(read_tasks(file(line), false), Exit::kPrompts, "want --chat");
  EXPECT_ERROR(read_tasks(file("{\"prompt\": \"p\", \"answer\": \"a\"}"), true), Exit::kPrompts,
               "has no messages");
}

TEST_F(Tasks, SayWhichLineIsBroken) {
  const std::string good = "{\"prompt\": \"p\", \"answer\": \"a\"}\n";
  for (const auto& [line, sentence] : std::vector<std::pair<std::string, std::string>>{
           {"{\"prompt\": \"p\"}", "want a text \"answer\""},
           {"{\"answer\": \"p\"}", "want a text \"prompt\""},
           {"{\"prompt\": 3, \"answer\": \"a\"}", "want a text \"prompt\""},
           {"{\"prompt\": \"p\", \"answer\": 4}", "want a text \"answer\""},
           {"{\"prompt\": \"p\", \"answers\": []}", "a list of texts"},
           {"{\"prompt\": \"p\", \"answers\": [1]}", "a list of texts"},
           {"{\"prompt\": \"p\", \"answer\": \"a\", \"answers\": [\"a\"]}", "a list of texts"},
           {"{\"prompt\": \"p\", \"answer\": \" \"}", "an answer is empty"},
           {"[1]", "want an object"},
           {"{", "tasks.jsonl:2"}}) {
    EXPECT_ERROR(read_tasks(file(good + line), false), Exit::kPrompts, sentence);
    EXPECT_ERROR(read_tasks(file(good + line), false), Exit::kPrompts, "tasks.jsonl:2");
  }
  EXPECT_ERROR(read_tasks(file("\n"), false), Exit::kPrompts, "has no tasks");
  EXPECT_ERROR(read_tasks(folder_ / "none.jsonl", false), Exit::kPrompts, "none.jsonl");
}

TEST(Task, IsSolvedByItsAnswerExactly) {
  const Task task{"", {"35", " two words\n"}, ""};
  EXPECT_TRUE(is_solved(task, " 35\n"));
  EXPECT_TRUE(is_solved(task, "two words"));
  EXPECT_FALSE(is_solved(task, "two  words"));
  EXPECT_FALSE(is_solved(task, "3 5"));
  EXPECT_FALSE(is_solved(task, ""));
  EXPECT_FALSE(is_solved(task, "Two words"));
}

}  // namespace
}  // namespace llmpq
