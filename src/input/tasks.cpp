#include "input/tasks.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.hpp"
#include "base/log.hpp"
#include "input/prompt_record.hpp"
#include "input/text_lines.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr auto kCode = Exit::kPrompts;
constexpr std::array kKnown{"prompt",    "messages",
                            "answer",    "answers",
                            "kind",      "tools",
                            "documents", "add_generation_prompt",
                            "id",        "chat_template_kwargs"};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string text_of(const nlohmann::json& line, const char* key, const std::string& where) {
  CHECK(line.contains(key) && line[key].is_string(), kCode, "{}: want a text \"{}\"", where, key);
  return line[key].get<std::string>();
}

std::vector<std::string> answers_of(const nlohmann::json& line, const std::string& where) {
  if (!line.contains("answers")) return {text_of(line, "answer", where)};
  const auto& answers = line["answers"];
  const bool texts = answers.is_array() && !answers.empty() && !line.contains("answer") &&
                     std::ranges::all_of(answers, [](const auto& a) { return a.is_string(); });
  CHECK(texts, kCode, "{}: want \"answer\", a text, or \"answers\", a list of texts", where);
  return answers.get<std::vector<std::string>>();
}

Task task_of(const std::string& text, const std::string& where, bool chat,
             std::set<std::string>& unknown) {
  const nlohmann::json line = parse_json(text, where, kCode);
  CHECK(line.is_object(), kCode, "{}: want an object with prompt and answer", where);
  for (const auto& [key, value] : line.items())
    if (std::ranges::find(kKnown, key) == kKnown.end()) unknown.insert(key);
  CHECK(chat || !line.contains("messages"), kCode,
        "{}: has messages, which want --chat and the model's chat template", where);
  CHECK(!chat || line.contains("messages"), kCode, "{}: has no messages, which --chat wants",
        where);
  Task task;
  task.prompt = chat ? chat_of_line(text, where) : text_of(line, "prompt", where);
  task.answers = answers_of(line, where);
  for (const std::string& answer : task.answers)
    CHECK(!trimmed(answer).empty(), kCode, "{}: an answer is empty", where);
  if (line.contains("kind")) task.kind = text_of(line, "kind", where);
  return task;
}

}  // namespace

std::vector<Task> read_tasks(const std::filesystem::path& path, bool chat) {
  LineReader lines(path);
  std::vector<Task> tasks;
  std::set<std::string> unknown;
  while (const auto line = lines.next())
    if (!trimmed(*line).empty()) tasks.push_back(task_of(*line, lines.where(), chat, unknown));
  CHECK(!tasks.empty(), kCode, "{}: has no tasks", path.string());
  if (!unknown.empty())
    log_warning("{}: these are not used: {}", path.string(), fmt::join(unknown, ", "));
  return tasks;
}

bool is_solved(const Task& task, std::string_view text) {
  return std::ranges::any_of(
      task.answers, [&](const std::string& answer) { return trimmed(answer) == trimmed(text); });
}

}  // namespace llmpq
