#include "commands/inspect.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/file.hpp"
#include "base/hdf5.hpp"
#include "base/json.hpp"
#include "base/table.hpp"
#include "input/prompts.hpp"
#include "kernels/check.hpp"
#include "output/journal_reader.hpp"
#include "output/output_files.hpp"
#include "output/result.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr auto kCode = Exit::kOutput;
constexpr int64_t kMaxJsonBytes = int64_t{256} << 20;
constexpr int64_t kRowsShown = 10;

/// JSON that somebody stored as text; text that is none stays text.
Json parsed(const std::string& text) {
  Json value = Json::parse(text, nullptr, false);
  return value.is_discarded() ? Json(text) : value;
}

Json describe_result(const fs::path& path) {
  const ResultReader result(path);
  const ResultHead& head = result.head();
  return {{"file", path.string()},
          {"kind", "output"},
          {"complete", true},
          {"rows", result.rows()},
          {"rows_done", result.rows()},
          {"rows_failed", result.count_failed()},
          {"row_begin", head.rows.begin},
          {"row_end", head.rows.end},
          {"num_samples", head.num_samples},
          {"logprobs", head.logprobs},
          {"plans", head.plans.size()},
          {"times", parsed(head.times)},
          {"versions", parsed(head.versions)}};
}

/// `output` is the job's OUTPUT; nothing of the file's content is needed but the last commit.
Json describe_journal(const fs::path& part, const fs::path& output) {
  JournalFile file = JournalFile::open(part, h5::File::Mode::kLive);
  const CommitRecord last = file.last_commit();
  const JournalHead& head = file.head();
  const auto owner = lock_owner(output);
  return {{"file", part.string()},
          {"kind", "journal"},
          {"complete", false},
          {"running", owner.has_value()},
          {"owner", owner ? Json(*owner) : Json(nullptr)},
          {"rows", head.outputs()},
          {"rows_done", last.rows()},
          {"rows_failed", last.failed},
          {"row_begin", head.rows.begin},
          {"row_end", head.rows.end},
          {"num_samples", head.num_samples},
          {"logprobs", head.logprobs},
          {"plans", last.ends[kPlans]},
          {"versions", parsed(head.versions)}};
}

Json describe_prompts(const fs::path& path) {
  const PromptsFile prompts = PromptsFile::open(path);
  const h5::File file = h5::File::open(path, h5::File::Mode::kRead, kCode);
  std::vector<std::string> datasets = file.names();
  return {
      {"file", path.string()},        {"kind", "prompts"},
      {"rows", prompts.rows()},       {"prompts_are", file.has("prompt") ? "text" : "token ids"},
      {"has_ids", prompts.has_ids()}, {"datasets", datasets},
      {"ignored", prompts.ignored()}};
}

bool is_sensitivity(const fs::path& path) {
  return h5::is_hdf5(path) &&
         h5::File::open(path, h5::File::Mode::kRead, kCode).has_attribute("indicator");
}

Json describe_sensitivity(const fs::path& path) {
  const h5::File file = h5::File::open(path, h5::File::Mode::kRead, kCode);
  const h5::Dataset omega = file.dataset("omega"), formats = file.dataset("formats");
  return {{"file", path.string()},
          {"kind", "sensitivity"},
          {"layers", omega.rows()},
          {"formats", formats.read_text(0, formats.rows())},
          {"indicator", file.text_attribute("indicator")},
          {"calibrated", file.has("quality")},
          {"model_hash", file.text_attribute("model_hash")},
          {"tokens", file.integer_attribute("tokens")}};
}

Json describe_json(const fs::path& path) {
  const std::string text = read_file(path, kMaxJsonBytes, kCode);
  CHECK(text.find_first_not_of(" \t\r\n") != std::string::npos, kCode,
        "{}: the file is empty: nothing of llmpq's", path.string());
  const nlohmann::json checked = parse_json(text, path.string(), kCode);
  CHECK(checked.is_object(), kCode, "{}: want an HDF5 file or a JSON object of llmpq's",
        path.string());
  return {{"file", path.string()},
          {"kind", checked.value("format", "JSON")},
          {"content", parsed(text)}};
}

/// OUTPUT for both OUTPUT and OUTPUT.part.
fs::path output_of(const fs::path& path) {
  return path.extension() == ".part" ? fs::path(path).replace_extension() : path;
}

Json describe_one(const fs::path& path) {
  for (const char* ending : {".jsonl", ".ndjson", ".csv", ".txt"})
    if (path.extension() == ending) return describe_prompts(path);  // which says what to do
  if (!h5::is_hdf5(path) && is_there(path, kCode) && path.extension() != ".part") {
    return describe_json(path);
  }
  if (is_result(path)) return describe_result(path);
  if (path.extension() == ".part") return describe_journal(path, output_of(path));
  if (is_sensitivity(path)) return describe_sensitivity(path);
  return describe_prompts(path);
}

/// A prompt in one line: its beginning.
std::string shown(const Prompt& prompt, int columns) {
  return prompt.has_tokens ? std::to_string(prompt.tokens.size()) + " token ids"
                           : shorten(prompt.text, columns);
}

/// A prompt in one line: its end, which the output continues.
std::string shown_end(Prompt prompt, size_t characters) {
  size_t begin = prompt.text.size();
  for (size_t left = characters; begin > 0 && left > 0; --left) do
      --begin;
    while (begin > 0 && (prompt.text[begin] & 0xC0) == 0x80);
  if (begin > 0) prompt.text = "..." + prompt.text.substr(begin);
  return shown(prompt, static_cast<int>(characters) + 3);
}

/// The prompts of those rows; none if the job's prompts file is not there any more.
std::vector<std::string> prompts_of(const std::string& job, std::span<const FinishedRow> rows) {
  const Json options = parsed(job);
  if (!options.is_object() || !options.contains("prompts") || !options["prompts"].is_string())
    return {};
  const fs::path path = options["prompts"].get<std::string>();
  std::vector<std::string> result;
  try {
    const PromptsFile prompts = PromptsFile::open(path);
    for (const FinishedRow& row : rows) {
      if (row.row >= prompts.rows()) return {};
      result.push_back(shown_end(prompts.read(row.row, 1, {}).at(0), 50));
    }
  } catch (const Error&) {
    return {};
  }
  return result;
}

/// `prompts`: one for each row, or none.
void print_rows(std::span<const FinishedRow> rows, const std::vector<std::string>& prompts) {
  if (rows.empty()) return;
  std::vector<std::string> head{"row", "sample", "finish", "tokens"};
  if (!prompts.empty()) head.push_back("prompt");
  head.push_back("text or error");
  Table table(head);
  for (size_t i = 0; i < rows.size(); ++i) {
    const FinishedRow& row = rows[i];
    std::vector<std::string> cells{std::to_string(row.row), std::to_string(row.sample),
                                   std::string(name(row.finish_reason)),
                                   std::to_string(row.token_ids.size())};
    if (!prompts.empty()) cells.push_back(prompts[i]);
    cells.push_back(shorten(row.error.empty() ? row.text : row.error, 80));
    table.add(cells);
  }
  std::fputs(("\n" + table.text()).c_str(), stdout);
}

void print_first_rows(const fs::path& path, const std::string& kind) {
  if (kind == "output") {
    const ResultReader result(path);
    const auto rows = result.read(0, std::min(kRowsShown, result.rows()));
    print_rows(rows, prompts_of(result.head().job, rows));
  } else if (kind == "journal") {
    JournalFile file = JournalFile::open(path, h5::File::Mode::kLive);
    const JournalRows rows(file, file.last_commit());
    std::vector<int64_t> latest(static_cast<size_t>(std::min(kRowsShown, rows.count())));
    std::iota(latest.begin(), latest.end(), rows.count() - static_cast<int64_t>(latest.size()));
    print_rows(rows.rows(rows.records(latest)), {});
  } else if (kind == "prompts") {
    const PromptsFile prompts = PromptsFile::open(path);
    Table table({"row", "prompt"});
    for (const Prompt& prompt : prompts.read(0, std::min(kRowsShown, prompts.rows()), {})) {
      table.add({std::to_string(prompt.row), shown(prompt, 100)});
    }
    std::fputs(("\n" + table.text()).c_str(), stdout);
  }
}

void print_for_people(const Json& description) {
  if (description.contains("content")) {
    std::fputs((dump_json(description["content"], 2) + "\n").c_str(), stdout);
    return;
  }
  Table table({"what", "value"});
  for (const auto& [key, value] : description.items()) {
    table.add({key, value.is_string() ? value.get<std::string>() : dump_json(value)});
  }
  std::fputs(table.text().c_str(), stdout);
  print_first_rows(description["file"].get<std::string>(), description["kind"]);
}

}  // namespace

Json describe_file(const fs::path& file) {
  const fs::path output = output_of(file);
  const fs::path part = OutputPaths(output).part;
  if (!is_there(part, kCode)) {
    CHECK(is_there(output, kCode), kCode, "{}: there is no such file, and no {}", output.string(),
          part.string());
    return describe_one(output);
  }
  try {
    return describe_journal(part, output);
  } catch (const Error&) {
    // The job may have ended while we looked: then the output has taken the journal's place.
    if (is_there(part, kCode) || !is_there(output, kCode)) throw;
    return describe_one(output);
  }
}

int run_inspect(const Job& job) {
  const Json description = describe_file(job.file);
  if (job.json) {
    const Json& shown = description.contains("content") ? description["content"] : description;
    std::fputs((dump_json(shown) + "\n").c_str(), stdout);
  } else {
    print_for_people(description);
  }
  return 0;
}

}  // namespace llmpq
