// The SVG writer: elements as written, texts escaped.
#include "base/svg.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmpq {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Svg, HeadAndElements) {
  Svg svg(100, 50.5, ".a{fill:red}", ".a{fill:pink}");
  svg.rectangle({1, 2.5, 3, 4.126}, "a");
  svg.rectangle({-0.001, 0, 1, 1}, "a", "", 2);
  svg.text(5, 6, "words", "t");
  svg.text(5, 6, "end", "t", SvgAnchor::kEnd);
  svg.line(0, 0, 10, 20, "l");
  svg.polyline({{0, 1}, {2, 3}}, "p");
  svg.circle(1, 2, 3, "c", "hint");
  const std::string text = svg.str();
  for (const char* part :
       {"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100\" height=\"50.5\" "
        "viewBox=\"0 0 100 50.5\">",
        "@media (prefers-color-scheme: dark) {\n.a{fill:pink}\n}",
        "<rect class=\"a\" x=\"1\" y=\"2.5\" width=\"3\" height=\"4.13\"/>\n",
        "x=\"0\" y=\"0\" width=\"1\" height=\"1\" rx=\"2\"/>",
        "<text class=\"t\" x=\"5\" y=\"6\">words</text>", "text-anchor=\"end\">end</text>",
        "<line class=\"l\" x1=\"0\" y1=\"0\" x2=\"10\" y2=\"20\"/>", "points=\"0,1 2,3\"/>",
        "r=\"3\"><title>hint</title></circle>", "</svg>\n"})
    EXPECT_THAT(text, HasSubstr(part));
}

TEST(Svg, TextsAreEscaped) {
  Svg svg(1, 1, "", "");
  svg.text(0, 0, "a<b> & \"c\" \xff \x01", "t");
  svg.rectangle({}, "r", "</title><script>");
  EXPECT_THAT(svg.str(), HasSubstr(">a&lt;b&gt; &amp; &quot;c&quot; \xEF\xBF\xBD \xEF\xBF\xBD<"));
  EXPECT_THAT(svg.str(), HasSubstr("<title>&lt;/title&gt;&lt;script&gt;</title>"));
  EXPECT_THAT(svg.str(), Not(HasSubstr("<script>")));
}

}  // namespace
}  // namespace llmpq
