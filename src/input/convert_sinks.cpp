#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/hdf5.hpp"
#include "base/json.hpp"
#include "input/convert.hpp"
#include "input/text_lines.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;
constexpr auto kCode = Exit::kOutput;

class LineSink : public RecordSink {
 public:
  explicit LineSink(const fs::path& path) : path_(path), file_(path, std::ios::binary) {
    CHECK(file_.is_open(), kCode, "{}: cannot be written: {}", path.string(), std::strerror(errno));
  }
  void finish() override {
    file_.close();
    CHECK(!file_.fail(), kCode, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
    sync_file(path_, kCode);
  }

 protected:
  void write(const std::string& line) {
    file_ << line << '\n';
    CHECK(file_.good(), kCode, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
  }
  void check_is_text(const PromptRecord& record) const {
    CHECK(!record.has_tokens, Exit::kPrompts,
          "{}: the prompts are token ids, which only .h5 and .jsonl hold; --to text --model DIR "
          "makes text of them",
          path_.string());
  }

 private:
  fs::path path_;
  std::ofstream file_;
};

class JsonlSink : public LineSink {
 public:
  using LineSink::LineSink;
  void add(const PromptRecord& record) override {
    const auto check = [&](const char* what, const std::string& text) {
      check_json_holds(text, fmt::format("record {}: the {}", records_, what), Exit::kPrompts);
    };
    check("text", record.text);
    check("id", record.id.value_or(""));
    check("stop", record.stop);
    write(dump_json(record_to_json(record)));
    ++records_;
  }

 private:
  int64_t records_ = 0;
};

class TextSink : public LineSink {
 public:
  using LineSink::LineSink;
  void add(const PromptRecord& record) override {
    check_is_text(record);
    write(one_line(record.text));
  }
};

/// All columns that there can be, since later records may have what the first has not.
class CsvSink : public LineSink {
 public:
  explicit CsvSink(const fs::path& path) : LineSink(path) {
    std::string header = "id,prompt";
    for (const RowOption& option : row_options()) header += "," + std::string(option.name);
    write(header + ",seed,stop");
  }
  void add(const PromptRecord& record) override {
    check_is_text(record);
    std::string line = csv_field(record.id.value_or("")) + "," + csv_field(record.text);
    const auto json = record_to_json(record);
    for (const RowOption& option : row_options()) {
      const auto value = json.find(std::string(option.name));
      line += "," + (value == json.end() ? "" : dump_json(*value));
    }
    line += "," + (record.seed ? std::to_string(*record.seed) : "");
    write(line + "," + csv_field(record.stop));
  }
};

/// A column that begins with the first record that has it; the records before get `missing`.
template <typename T>
class LateColumn {
 public:
  LateColumn(std::string name, T missing) : name_(std::move(name)), missing_(std::move(missing)) {}

  void set(size_t row, T value) {
    window_.resize(row, missing_);
    window_.push_back(std::move(value));
  }

  /// Writes the window's `count` rows, which begin at `begin` of the file.
  void flush(h5::File& file, int64_t begin, size_t count) {
    if (window_.empty() && !dataset_) return;
    if (!dataset_) {
      dataset_ = file.create_dataset(name_, {type(), 4096, {}});
      for (int64_t row = 0; row < begin; row += 4096) {
        put(row,
            std::vector<T>(static_cast<size_t>(std::min<int64_t>(4096, begin - row)), missing_));
      }
    }
    window_.resize(count, missing_);
    put(begin, window_);
    window_.clear();
  }

 private:
  static h5::ValueType type() {
    if constexpr (std::is_same_v<T, std::string>) {
      return h5::text_type();
    } else {
      return h5::value_type<T>();
    }
  }
  void put(int64_t begin, const std::vector<T>& values) {
    if constexpr (std::is_same_v<T, std::string>) {
      dataset_->write_text(begin, values);
    } else {
      dataset_->write(begin, std::span<const T>(values));
    }
  }

  std::string name_;
  T missing_;
  std::vector<T> window_;
  std::optional<h5::Dataset> dataset_;
};

class Hdf5Sink : public RecordSink {
 public:
  explicit Hdf5Sink(const fs::path& path) : file_(h5::File::create(path, false, kCode)) {
    for (const RowOption& option : row_options()) {
      const std::string name(option.name);
      if (option.is_integer) {
        integers_.emplace(&option, LateColumn<int64_t>(name, -1));
      } else {
        floats_.emplace(&option,
                        LateColumn<double>(name, std::numeric_limits<double>::quiet_NaN()));
      }
    }
  }

  void add(const PromptRecord& record) override {
    if (written_ == 0 && rows_ == 0) has_tokens_ = record.has_tokens;
    CHECK(record.has_tokens == has_tokens_, Exit::kPrompts,
          "{}: record {} is {}, but the ones before are {}: one file holds one sort", file_.name(),
          written_ + static_cast<int64_t>(rows_), sort(record.has_tokens), sort(has_tokens_));
    if (has_tokens_) {
      tokens_.insert(tokens_.end(), record.tokens.begin(), record.tokens.end());
      splits_.push_back(values_written_ + static_cast<int64_t>(tokens_.size()));
    } else {
      texts_.push_back(record.text);
    }
    if (record.id) ids_.set(rows_, *record.id);
    if (record.seed) seeds_.set(rows_, *record.seed);
    if (!record.stop.empty()) stops_.set(rows_, record.stop);
    for (const auto& [option, value] : record.options) {
      if (option->is_integer) {
        integers_.at(option).set(rows_, static_cast<int64_t>(value));
      } else {
        floats_.at(option).set(rows_, value);
      }
    }
    bytes_ += record.text.size() + 4 * record.tokens.size();
    if (++rows_ == kWindowRows || bytes_ > kWindowBytes) flush();
  }

  void finish() override {
    flush();
    file_.sync();
  }

 private:
  static constexpr size_t kWindowRows = 1024;
  static constexpr size_t kWindowBytes = 16 << 20;

  static const char* sort(bool tokens) { return tokens ? "token ids" : "text"; }

  void open_prompts() {
    if (!has_tokens_) {
      prompts_ = file_.create_dataset("prompt", {h5::text_type(), 1024, {}});
      return;
    }
    h5::Group group = file_.create_group("prompt_token_ids");
    values_ = group.create_dataset("values", {h5::value_type<int32_t>(), 16384, {}});
    row_splits_ = group.create_dataset("row_splits", {h5::value_type<int64_t>(), 4096, {}});
    row_splits_->write<int64_t>(0, std::vector<int64_t>{0});
  }

  void flush() {
    if (!prompts_ && !values_) open_prompts();
    if (has_tokens_) {
      values_->write<int32_t>(values_written_, tokens_);
      row_splits_->write<int64_t>(written_ + 1, splits_);
      values_written_ += static_cast<int64_t>(tokens_.size());
    } else {
      prompts_->write_text(written_, texts_);
    }
    ids_.flush(file_, written_, rows_);
    seeds_.flush(file_, written_, rows_);
    stops_.flush(file_, written_, rows_);
    for (auto& [option, column] : integers_) column.flush(file_, written_, rows_);
    for (auto& [option, column] : floats_) column.flush(file_, written_, rows_);
    written_ += static_cast<int64_t>(rows_);
    rows_ = bytes_ = 0;
    tokens_.clear();
    splits_.clear();
    texts_.clear();
  }

  h5::File file_;
  bool has_tokens_ = false;
  std::optional<h5::Dataset> prompts_, values_, row_splits_;
  int64_t written_ = 0, values_written_ = 0;

  // The window: rows that are not written yet.
  size_t rows_ = 0, bytes_ = 0;
  std::vector<std::string> texts_;
  std::vector<int32_t> tokens_;
  std::vector<int64_t> splits_;
  LateColumn<std::string> ids_{"id", ""}, stops_{"stop", ""};
  LateColumn<int64_t> seeds_{"seed", -1};
  std::map<const RowOption*, LateColumn<int64_t>> integers_;
  std::map<const RowOption*, LateColumn<double>> floats_;
};

}  // namespace

std::string one_line(const std::string& text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n') {
      line += "\\n";
    } else if (c == '\r') {
      line += "\\r";
    } else {
      line += c;
    }
  }
  return line;
}

std::unique_ptr<RecordSink> make_prompt_sink(const fs::path& path, FileKind kind) {
  switch (kind) {
    case FileKind::kJsonl:
      return std::make_unique<JsonlSink>(path);
    case FileKind::kCsv:
      return std::make_unique<CsvSink>(path);
    case FileKind::kText:
      return std::make_unique<TextSink>(path);
    case FileKind::kHdf5:
      return std::make_unique<Hdf5Sink>(path);
  }
  return nullptr;
}

}  // namespace llmpq
