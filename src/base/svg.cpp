#include "base/svg.hpp"

#include <fmt/format.h>

#include "base/utf8.hpp"

namespace llmpq {
namespace {

/// XML has no place for control characters but tab and line breaks, however they are written.
bool is_xml(unsigned char c) { return c >= 0x20 || c == '\t' || c == '\n' || c == '\r'; }

std::string escaped(std::string_view words) {
  std::string result;
  for (const char c : sanitize_utf8(words)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        if (is_xml(static_cast<unsigned char>(c)))
          result += c;
        else
          result += "\xEF\xBF\xBD";
    }
  }
  return result;
}

/// A hundredth of a pixel is enough, and "-0" is none.
std::string number(double value) {
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

}  // namespace

Svg::Svg(double width, double height, std::string_view style, std::string_view dark_style) {
  text_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\">\n<style>\n{2}\n@media (prefers-color-scheme: dark) {{\n{3}\n}}\n"
      "</style>\n",
      number(width), number(height), style, dark_style);
}

void Svg::close(std::string_view element, std::string_view hint) {
  text_ += hint.empty() ? "/>\n" : fmt::format("><title>{}</title></{}>\n", escaped(hint), element);
}

void Svg::rectangle(const SvgBox& box, std::string_view css_class, std::string_view hint,
                    double corner) {
  text_ += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", css_class,
                       number(box.x), number(box.y), number(box.width), number(box.height));
  if (corner > 0) text_ += fmt::format(" rx=\"{}\"", number(corner));
  close("rect", hint);
}

void Svg::text(double x, double y, std::string_view words, std::string_view css_class,
               SvgAnchor anchor) {
  constexpr std::string_view kAnchors[] = {"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
  text_ += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\"{}>{}</text>\n", css_class, number(x),
                       number(y), kAnchors[static_cast<size_t>(anchor)], escaped(words));
}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view css_class) {
  text_ += fmt::format("<line class=\"{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>\n", css_class,
                       number(x1), number(y1), number(x2), number(y2));
}

void Svg::polyline(const std::vector<std::pair<double, double>>& points,
                   std::string_view css_class) {
  std::string list;
  for (const auto& [x, y] : points)
    list += fmt::format("{}{},{}", list.empty() ? "" : " ", number(x), number(y));
  text_ += fmt::format("<polyline class=\"{}\" points=\"{}\"/>\n", css_class, list);
}

void Svg::circle(double x, double y, double radius, std::string_view css_class,
                 std::string_view hint) {
  text_ += fmt::format("<circle class=\"{}\" cx=\"{}\" cy=\"{}\" r=\"{}\"", css_class, number(x),
                       number(y), number(radius));
  close("circle", hint);
}

}  // namespace llmpq
