// A task file: prompts whose right answers are known. JSONL, one object a line:
//   {"prompt": "Question: what is 16 plus 19?\nAnswer:", "answer": "35", "kind": "sum"}
// `answers` holds several right ones in the place of `answer`; `kind` groups tasks in the report
// and may be missing; with --chat, `messages` (and what else convert knows of a chat) stand in the
// place of `prompt`. Used by eval.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace llmpq {

struct Task {
  std::string prompt;  ///< text, or the chat messages as JSON
  std::vector<std::string> answers;
  std::string kind;  ///< empty: none
};

/// All tasks, at least one; empty lines are left out. Keys that nobody knows are named once in the
/// log. Error(kPrompts) names file and line: no JSON, a prompt or answer missing or of a wrong
/// type; prompts where `chat` wants messages and the other way round.
std::vector<Task> read_tasks(const std::filesystem::path& path, bool chat);

/// Whether `text` is the answer: equal to one of the task's but for white space around it.
bool is_solved(const Task& task, std::string_view text);

}  // namespace llmpq
