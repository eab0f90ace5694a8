// The curve of sweep.hpp as a picture.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/svg.hpp"
#include "plan/compare.hpp"
#include "plan/svg_style.hpp"
#include "plan/sweep.hpp"

namespace llmpq {
namespace {

constexpr double kWidth = 720, kHeight = 420;
constexpr SvgBox kPlot{72, 76, 612, 272};
constexpr int kTicks = 5;
constexpr double kLabelWidth = 34;  ///< nearer points have no label of their own

/// 1, 2 or 5 times a power of ten, so that at most kTicks steps cover `range`.
double tick_step(double range) {
  const double power = std::pow(10, std::floor(std::log10(range / kTicks)));
  for (const double digit : {1.0, 2.0, 5.0})
    if (digit * power * kTicks >= range) return digit * power;
  return 10 * power;
}

struct Axis {
  double low = 0, high = 1;
  double share(double value) const { return (value - low) / (high - low); }
  std::vector<double> ticks() const {
    std::vector<double> list;
    const double step = tick_step(high - low);
    for (double value = std::ceil(low / step - 1e-9) * step; value <= high + 1e-9 * step;
         value += step)
      list.push_back(value);
    return list;
  }
};

double x_of(const Axis& axis, double value) { return kPlot.x + kPlot.width * axis.share(value); }
double y_of(const Axis& axis, double value) {
  return kPlot.y + kPlot.height * (1 - axis.share(value));
}

void draw_axes(Svg& svg, const Axis& omega, const Axis& speed) {
  for (const double value : omega.ticks()) {
    const double x = x_of(omega, value);
    svg.line(x, kPlot.y, x, kPlot.y + kPlot.height, "grid");
    svg.text(x, kPlot.y + kPlot.height + 18, fmt::format("{:.4g}", value), "small",
             SvgAnchor::kMiddle);
  }
  for (const double value : speed.ticks()) {
    const double y = y_of(speed, value);
    svg.line(kPlot.x, y, kPlot.x + kPlot.width, y, "grid");
    svg.text(kPlot.x - 8, y + 4, fmt::format("{:.4g}x", value), "small", SvgAnchor::kEnd);
  }
  svg.text(kPlot.x + kPlot.width / 2, kHeight - 24, "loss of quality (omega)", "text",
           SvgAnchor::kMiddle);
}

}  // namespace

std::string sweep_svg(const Problem& problem, const std::vector<SweepPoint>& points) {
  Svg svg(kWidth, kHeight, kSvgStyle, kSvgDarkStyle);
  svg.rectangle({0.5, 0.5, kWidth - 1, kHeight - 1}, "page", "", 8);
  svg.text(24, 34, problem.name + ": speed for quality", "title");
  svg.text(24, 54,
           "speed of the fastest plan within a loss of quality, of the first point's; "
           "beside the points: bits of a layer on average",
           "small");
  if (points.empty()) return svg.str();
  const double first_s = points.front().planned.score.time_s;
  const double most = points.back().planned.score.omega, least = points.front().planned.score.omega;
  const Axis omega{least, most > least ? most : least + 1};
  const double fastest = first_s / points.back().planned.score.time_s;
  const Axis speed{1, std::max(1.1, 1 + 1.1 * (fastest - 1))};
  draw_axes(svg, omega, speed);
  std::vector<std::pair<double, double>> curve;
  for (const SweepPoint& point : points) {
    const Score& score = point.planned.score;
    curve.emplace_back(x_of(omega, score.omega), y_of(speed, first_s / score.time_s));
  }
  svg.polyline(curve, "curve");
  double labelled_x = -kWidth;
  for (size_t i = 0; i < points.size(); ++i) {
    const auto [x, y] = curve[i];
    const auto bits = average_bits(problem, points[i].planned.assignment);
    svg.circle(x, y, 4, "point", fmt::format("{:.5g} s", points[i].planned.score.time_s));
    const bool at_end = x > kPlot.x + 0.9 * kPlot.width;
    if (!bits || x - labelled_x < kLabelWidth) continue;
    labelled_x = x;
    svg.text(at_end ? x - 8 : x + 8, y + (at_end ? -8 : 14), fmt::format("{:.3g}", *bits), "small",
             at_end ? SvgAnchor::kEnd : SvgAnchor::kStart);
  }
  return svg.str();
}

}  // namespace llmpq
