#include "input/text_lines.hpp"

#include <cerrno>
#include <cstring>

#include "base/utf8.hpp"

namespace llmpq {
namespace {

constexpr auto kCode = Exit::kPrompts;
constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kLongestLine = 64 << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

LineReader::LineReader(const std::filesystem::path& path) : path_(path), file_(path) {
  CHECK(file_.is_open() && !std::filesystem::is_directory(path), kCode, "{}: cannot be opened: {}",
        path.string(), std::strerror(errno != 0 ? errno : EISDIR));
  if (fill() && buffer_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
}

/// Reads more; false at the end of the file.
bool LineReader::fill() {
  buffer_.erase(0, at_);
  at_ = 0;
  CHECK(buffer_.size() <= kLongestLine, kCode, "{}:{}: the line is longer than {} MiB",
        path_.string(), line_ + 1, kLongestLine >> 20);
  const size_t old_size = buffer_.size();
  buffer_.resize(old_size + kReadBytes);
  file_.read(buffer_.data() + old_size, static_cast<std::streamsize>(kReadBytes));
  CHECK(!file_.bad(), kCode, "{}: cannot be read: {}", path_.string(), std::strerror(errno));
  buffer_.resize(old_size + static_cast<size_t>(file_.gcount()));
  return buffer_.size() > old_size;
}

std::optional<std::string> LineReader::next() {
  size_t end = buffer_.find('\n', at_);
  while (end == std::string::npos) {
    const size_t searched = buffer_.size() - at_;
    if (!fill()) break;
    end = buffer_.find('\n', searched);
  }
  if (end == std::string::npos && at_ == buffer_.size()) return std::nullopt;
  std::string line = buffer_.substr(at_, end == std::string::npos ? end : end - at_);
  at_ = end == std::string::npos ? buffer_.size() : end + 1;
  if (line.ends_with('\r')) line.pop_back();
  ++line_;
  return line;
}

std::string LineReader::where() const { return fmt::format("{}:{}", path_.string(), line_); }

std::optional<std::vector<std::string>> CsvReader::next() {
  std::optional<std::string> line = lines_.next();
  if (!line) return std::nullopt;
  std::vector<std::string> fields(1);
  size_t record_bytes = line->size();
  bool quoted = false;
  for (size_t i = 0; i < line->size() || quoted; ++i) {
    if (i == line->size()) {  // a line break inside quotes
      const std::string begun = lines_.where();
      line = lines_.next();
      CHECK(line, kCode, "{}: a quoted field does not end before the file does", begun);
      record_bytes += line->size() + 1;
      CHECK(record_bytes <= kLongestLine, kCode,
            "{}: a record is longer than {} MiB; is a quote "
            "missing?",
            lines_.where(), kLongestLine >> 20);
      fields.back() += '\n';
      i = static_cast<size_t>(-1);
      continue;
    }
    const char c = (*line)[i];
    if (quoted) {
      const bool doubled = c == '"' && i + 1 < line->size() && (*line)[i + 1] == '"';
      if (c == '"' && !doubled) {
        quoted = false;
      } else {
        fields.back() += c;
        i += doubled;
      }
    } else if (c == ',') {
      fields.emplace_back();
    } else if (c == '"') {
      CHECK(fields.back().empty(), kCode,
            "{}: a quote inside a field that does not begin with one: quote the whole field and "
            "double the quotes in it",
            lines_.where());
      quoted = true;
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

void check_json_holds(std::string_view text, const std::string& what, Exit code) {
  const auto broken = first_invalid_byte(text);
  CHECK(!broken, code,
        "{} is not valid UTF-8 at byte {}, and JSON holds no other; mend it, or convert to .csv",
        what, broken.value_or(0));
}

}  // namespace llmpq
