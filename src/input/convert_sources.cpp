#include <fmt/ranges.h>
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/hdf5.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "input/convert.hpp"
#include "input/prompts.hpp"
#include "input/text_lines.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;
constexpr auto kCode = Exit::kPrompts;

void tell_unknown(const fs::path& path, const std::set<std::string>& unknown) {
  if (unknown.empty()) return;
  log_warning("{}: these are not used: {}", path.string(), fmt::join(unknown, ", "));
}

class JsonlSource : public RecordSource {
 public:
  explicit JsonlSource(const fs::path& path) : path_(path), lines_(path) {}

  bool next(PromptRecord& record) override {
    while (const auto line = lines_.next()) {
      if (line->find_first_not_of(" \t") == std::string::npos) continue;
      const std::string where = lines_.where();
      record = record_from_json(parse_json(*line, where, kCode), where, unknown_);
      CHECK(record.is_chat == are_chats_.value_or(record.is_chat), kCode,
            "{}: a line with messages among lines with prompts; make two files of them", where);
      are_chats_ = record.is_chat;
      if (record.is_chat) record.text = chat_of_line(*line, where);
      return true;
    }
    tell_unknown(path_, unknown_);
    if (are_chats_.value_or(false))
      log_info("{}: chat messages, which generate wants --chat for", path_.string());
    return false;
  }

 private:
  fs::path path_;
  LineReader lines_;
  std::set<std::string> unknown_;
  std::optional<bool> are_chats_;  ///< whether the lines have messages; the first one decides
};

class TextSource : public RecordSource {
 public:
  explicit TextSource(const fs::path& path) : lines_(path) {}

  bool next(PromptRecord& record) override {
    auto line = lines_.next();
    if (!line) return false;
    CHECK(line->find('\0') == std::string::npos, kCode,
          "{}: has a character U+0000, at which strings in HDF5 end; take it out", lines_.where());
    record = {};
    record.text = std::move(*line);
    return true;
  }

 private:
  LineReader lines_;
};

/// The first record names the columns, which mean what the keys of JSONL mean; an empty field
/// stands for "not given" except in the prompt.
class CsvSource : public RecordSource {
 public:
  explicit CsvSource(const fs::path& path) : path_(path), records_(path) {
    auto header = records_.next();
    CHECK(header, kCode, "{}: want a header with the names of the columns, found an empty file",
          path.string());
    header_ = std::move(*header);
    for (auto name = header_.begin(); name != header_.end(); ++name)
      CHECK(std::find(header_.begin(), name, *name) == name, kCode,
            "{}: the header has two columns {}: rename one of them", path.string(), *name);
    const auto is_prompt = [](const auto& name) { return name == "prompt" || name == "text"; };
    CHECK(std::ranges::any_of(header_, is_prompt), kCode,
          "{}: want a column prompt or text in the header, found {}{}", path.string(),
          fmt::join(header_, ", "), header_.size() == 1 ? "; columns are separated by commas" : "");
  }

  bool next(PromptRecord& record) override {
    auto fields = records_.next();
    while (fields && is_blank_line(*fields)) fields = records_.next();
    if (!fields) {
      tell_unknown(path_, unknown_);
      return false;
    }
    CHECK(fields->size() == header_.size(), kCode, "{}: want {} fields like the header, found {}",
          records_.where(), header_.size(), fields->size());
    nlohmann::json line = nlohmann::json::object();
    for (size_t i = 0; i < fields->size(); ++i) {
      if (auto value = value_of(header_[i], (*fields)[i]); !value.is_null()) {
        line[header_[i]] = std::move(value);
      }
    }
    record = record_from_json(line, records_.where(), unknown_);
    return true;
  }

 private:
  /// A line without anything; with one column it is an empty prompt.
  bool is_blank_line(const std::vector<std::string>& fields) const {
    return header_.size() > 1 && fields.size() == 1 && fields[0].empty();
  }

  static nlohmann::json value_of(const std::string& column, const std::string& field) {
    if (column == "prompt" || column == "text") return field;
    if (field.empty()) return nullptr;
    const auto is_option = [&](const RowOption& option) { return option.name == column; };
    const bool is_number = column == "seed" || std::ranges::any_of(row_options(), is_option);
    if (!is_number && column != "stop") return field;
    // As Python writes them: pandas' "not given", and its booleans.
    if (is_number && (field == "nan" || field == "NaN")) return nullptr;
    if (column == "ignore_eos" && (field == "True" || field == "False")) return field == "True";
    auto value = nlohmann::json::parse(field, nullptr, false);
    if (is_number || value.is_array()) {
      return value.is_discarded() ? nlohmann::json(field) : value;
    }
    return field;
  }

  fs::path path_;
  CsvReader records_;
  std::vector<std::string> header_;
  std::set<std::string> unknown_;
};

class Hdf5Source : public RecordSource {
 public:
  explicit Hdf5Source(const fs::path& path)
      : prompts_(PromptsFile::open(path)),
        file_(h5::File::open(path, h5::File::Mode::kRead, kCode)) {
    tell_unknown(path, {prompts_.ignored().begin(), prompts_.ignored().end()});
    for (const RowOption& option : row_options()) {
      const std::string name(option.name);
      if (file_.has(name)) columns_.push_back({&option, file_.dataset(name), {}});
    }
    if (file_.has("stop")) stops_ = file_.dataset("stop");
  }

  bool next(PromptRecord& record) override {
    if (at_ == static_cast<int64_t>(window_.size()) && !read_window()) return false;
    const auto i = static_cast<size_t>(at_++);
    Prompt& prompt = window_[i];
    CHECK(prompt.error.empty(), kCode, "{}: row {}: {}", file_.name(), prompt.row, prompt.error);
    record = {};
    if (prompts_.has_ids()) record.id = std::move(ids_[i]);
    record.text = std::move(prompt.text);
    record.tokens = std::move(prompt.tokens);
    record.has_tokens = prompt.has_tokens;
    for (const Column& column : columns_) {
      const double value = column.window[i];
      if (!std::isnan(value) && value != -1) record.options.emplace_back(column.option, value);
    }
    if (const auto seed = prompt.sampling.seed) {
      CHECK(*seed <= kMostSeed, kCode, "{}: row {}: seed is {}, want at most {}", file_.name(),
            prompt.row, *seed, kMostSeed);
      record.seed = static_cast<int64_t>(*seed);
    }
    if (stops_) record.stop = std::move(stop_texts_[i]);
    return true;
  }

 private:
  struct Column {
    const RowOption* option;
    h5::Dataset values;
    std::vector<double> window;
  };

  bool read_window() {
    const int64_t begin = next_row_;
    const int64_t count = std::min(PromptsFile::kPromptWindow, prompts_.rows() - begin);
    if (count == 0) return false;
    window_ = prompts_.read(begin, count, {});
    ids_ = prompts_.read_ids(begin, count);
    for (Column& column : columns_) column.window = column.values.read<double>(begin, count);
    if (stops_) stop_texts_ = stops_->read_text(begin, count);
    next_row_ += count;
    at_ = 0;
    return true;
  }

  PromptsFile prompts_;
  h5::File file_;
  std::vector<Column> columns_;
  std::optional<h5::Dataset> stops_;
  std::vector<Prompt> window_;
  std::vector<std::string> ids_, stop_texts_;
  int64_t next_row_ = 0;
  int64_t at_ = 0;
};

}  // namespace

FileKind kind_of_name(const fs::path& path) {
  static const std::map<std::string, FileKind> kEndings = {
      {".jsonl", FileKind::kJsonl}, {".ndjson", FileKind::kJsonl}, {".csv", FileKind::kCsv},
      {".txt", FileKind::kText},    {".text", FileKind::kText},    {".h5", FileKind::kHdf5},
      {".hdf5", FileKind::kHdf5}};
  const auto found = kEndings.find(path.extension().string());
  CHECK(found != kEndings.end(), Exit::kUsage,
        "{}: what it is must show in its name: .jsonl, .csv, .txt or .h5{}", path.string(),
        path.extension() == ".json" ? "; jq -c '.[]' makes the lines of a .jsonl of a JSON array"
                                    : "");
  return found->second;
}

FileKind kind_of_file(const fs::path& path) {
  return h5::is_hdf5(path) ? FileKind::kHdf5 : kind_of_name(path);
}

std::unique_ptr<RecordSource> open_prompt_source(const fs::path& path) {
  switch (kind_of_file(path)) {
    case FileKind::kJsonl:
      return std::make_unique<JsonlSource>(path);
    case FileKind::kCsv:
      return std::make_unique<CsvSource>(path);
    case FileKind::kText:
      return std::make_unique<TextSource>(path);
    case FileKind::kHdf5:
      return std::make_unique<Hdf5Source>(path);
  }
  return nullptr;
}

}  // namespace llmpq
