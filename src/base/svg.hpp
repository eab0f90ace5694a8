// A writer of SVG pictures that are readable on light and dark pages: colours are classes of a
// style sheet, which has a second set for readers who prefer dark.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmpq {

/// In pixels, from the upper left corner.
struct SvgBox {
  double x = 0, y = 0, width = 0, height = 0;
};

/// Which point of a text stands at its x.
enum class SvgAnchor : unsigned char { kStart, kMiddle, kEnd };

class Svg {
 public:
  /// `style`: CSS rules of the classes; `dark_style`: those that differ on dark pages.
  Svg(double width, double height, std::string_view style, std::string_view dark_style);

  /// `hint` shows when the pointer rests on it; "" = none. Texts may hold anything: they are
  /// escaped, and bytes that XML has no place for become U+FFFD.
  void rectangle(const SvgBox& box, std::string_view css_class, std::string_view hint = "",
                 double corner = 0);
  void text(double x, double y, std::string_view words, std::string_view css_class,
            SvgAnchor anchor = SvgAnchor::kStart);
  void line(double x1, double y1, double x2, double y2, std::string_view css_class);
  void polyline(const std::vector<std::pair<double, double>>& points, std::string_view css_class);
  void circle(double x, double y, double radius, std::string_view css_class,
              std::string_view hint = "");

  /// The whole file.
  std::string str() const { return text_ + "</svg>\n"; }

 private:
  void close(std::string_view element, std::string_view hint);
  std::string text_;
};

}  // namespace llmpq
