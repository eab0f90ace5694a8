#include "base/table.hpp"

#include <algorithm>
#include <cctype>

#include "base/utf8.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

bool looks_numeric(const std::string& cell) {
  if (cell.empty() || cell == "-" || cell == "-inf" || cell == "nan") return true;
  const size_t digits = cell[0] == '-' || cell[0] == '+' ? 1 : 0;
  return digits < cell.size() && std::isdigit(static_cast<unsigned char>(cell[digits])) != 0;
}

bool is_control(char32_t c) { return c < 0x20 || c == 0x7F; }

std::string padded(const std::string& cell, int width, bool right) {
  const std::string space(static_cast<size_t>(std::max(0, width - display_width(cell))), ' ');
  return right ? space + cell : cell + space;
}

}  // namespace

void Table::add(std::vector<std::string> cells) {
  CHECK(cells.size() <= header_.size(), Exit::kInternal, "a table row of {} cells, want at most {}",
        cells.size(), header_.size());
  cells.resize(header_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<int> widths;
  std::vector<bool> right;
  for (size_t column = 0; column < header_.size(); ++column) {
    widths.push_back(display_width(header_[column]));
    right.push_back(!rows_.empty());
    for (const auto& row : rows_) {
      widths[column] = std::max(widths[column], display_width(row[column]));
      right[column] = right[column] && looks_numeric(row[column]);
    }
  }
  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t column = 0; column < cells.size(); ++column) {
      line += (column == 0 ? "" : "  ") + padded(cells[column], widths[column], right[column]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  };
  add_line(header_);
  std::vector<std::string> rules;
  for (const int width : widths) rules.emplace_back(static_cast<size_t>(width), '-');
  add_line(rules);
  for (const auto& row : rows_) add_line(row);
  return text;
}

std::string shorten(const std::string& text, int columns) {
  std::string line;
  size_t cut = 0;  // where "..." would go
  int width = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    const Utf8Step step = utf8_step(rest);
    std::string character;
    append_utf8(character, is_control(step.code_point) ? U' ' : step.code_point);
    width += display_width(character);
    if (width > columns) return line.substr(0, cut) + "...";
    line += character;
    if (width <= columns - 3) cut = line.size();
    rest.remove_prefix(static_cast<size_t>(step.bytes));
  }
  return line;
}

}  // namespace llmpq
