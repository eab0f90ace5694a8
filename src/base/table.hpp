// Aligned tables for people, on stdout and in the log.
#pragma once

#include <string>
#include <vector>

namespace llmpq {

/// Rows of text under a header. Columns whose cells are all numbers (a sign, digits, a unit glued
/// to them or not) are aligned to the right, the others to the left.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}

  /// As many cells as the header has; fewer are filled up with empty ones.
  void add(std::vector<std::string> cells);
  /// Lines that end in '\n': the header, a rule, the rows. Wide characters are counted as such.
  std::string text() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

/// The first `columns` columns of a text in one line: line breaks become spaces, a cut shows as
/// "...". For tables of prompts and outputs.
std::string shorten(const std::string& text, int columns);

}  // namespace llmpq
