// Text files read in bounded memory: lines, and the records of CSV (RFC 4180); and what fits into
// CSV and JSON. Used by convert.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/check.hpp"

namespace llmpq {

/// Lines without their end ("\n" or "\r\n"); a last line needs none. A byte order mark in front is
/// left out. Error(kPrompts): the file cannot be read, or a line is longer than 64 MiB.
class LineReader {
 public:
  explicit LineReader(const std::filesystem::path& path);
  std::optional<std::string> next();
  /// "FILE:LINE" of the line that next() gave last, from 1.
  std::string where() const;

 private:
  bool fill();

  std::filesystem::path path_;
  std::ifstream file_;
  std::string buffer_;
  size_t at_ = 0;
  int64_t line_ = 0;
};

/// Records of comma-separated values: fields may be quoted, and quoted ones may hold commas, line
/// breaks and doubled quotes.
class CsvReader {
 public:
  explicit CsvReader(const std::filesystem::path& path) : lines_(path) {}
  std::optional<std::vector<std::string>> next();
  std::string where() const { return lines_.where(); }

 private:
  LineReader lines_;
};

/// A field as CSV has it: quoted where it must be.
std::string csv_field(std::string_view text);

/// Error(code) that begins with `what` if JSON, which is UTF-8, cannot hold the text as it is.
void check_json_holds(std::string_view text, const std::string& what, Exit code);

}  // namespace llmpq
