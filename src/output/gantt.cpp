#include "output/gantt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/svg.hpp"
#include "pipeline/timeline.hpp"
#include "plan/svg_style.hpp"

namespace llmpq {
namespace {

// In pixels.
constexpr double kMargin = 24, kLabels = 76, kPlot = 1240, kHead = 76, kFoot = 62;
constexpr double kPlotX = kMargin + kLabels, kWidth = kPlotX + kPlot + kMargin;
constexpr double kRow = 46, kBar = 26, kSend = 7, kSendY = kBar + 2;
constexpr double kThinnest = 0.4;  ///< of a bar: shorter ones would vanish
constexpr int kTicks = 10;

constexpr std::string_view kOwnStyle = ".mixed{fill:#2da58e}.transfer{fill:#57606a}";
constexpr std::string_view kOwnDarkStyle = ".transfer{fill:#8b949e}";

bool is_drawn(const TraceEvent& event) {
  return event.track == kComputing || event.track == kSending;
}

/// Where the picture ends: at the end of the run, or at the bar after which there are too many.
double last_moment(const GanttChart& chart) {
  size_t bars = 0;
  for (const TraceEvent& event : chart.events)
    if (is_drawn(event) && ++bars > kMostBars) return event.begin_s;
  return chart.end_s;
}

/// 1, 2 or 5 times a power of ten: so that kTicks of them cover `seconds`.
double tick_seconds(double seconds) {
  const double power = std::pow(10, std::floor(std::log10(seconds / kTicks)));
  for (const double digit : {1.0, 2.0, 5.0})
    if (digit * power * kTicks >= seconds) return digit * power;
  return 10 * power;
}

class Painter {
 public:
  explicit Painter(const GanttChart& chart)
      : chart_(chart),
        end_s_(std::max(last_moment(chart), chart.begin_s + 1e-6)),
        bottom_(kHead + kRow * static_cast<double>(chart.ranks.size())),
        svg_(kWidth, bottom_ + kFoot, std::string(kSvgStyle) + std::string(kOwnStyle),
             std::string(kSvgDarkStyle) + std::string(kOwnDarkStyle)) {}

  std::string paint() {
    svg_.rectangle({0.5, 0.5, kWidth - 1, bottom_ + kFoot - 1}, "page", "", 8);
    svg_.text(kMargin, 32, chart_.title, "title");
    const double run_s = chart_.end_s - chart_.begin_s, shown_s = end_s_ - chart_.begin_s;
    svg_.text(kMargin, 52,
              shown_s < run_s ? fmt::format("the first {:.3g} of {:.3g} s", shown_s, run_s)
                              : fmt::format("{:.3g} s", run_s),
              "small");
    for (size_t stage = 0; stage < chart_.ranks.size(); ++stage) row(stage);
    axis();
    legend();
    return svg_.str();
  }

 private:
  double x_of(double moment_s) const {
    return kPlotX + kPlot * (moment_s - chart_.begin_s) / (end_s_ - chart_.begin_s);
  }

  void row(size_t stage) {
    const double y = kHead + kRow * static_cast<double>(stage);
    svg_.text(kMargin, y + 13, fmt::format("stage {}", stage), "text");
    svg_.text(kMargin, y + 27, fmt::format("rank {}", chart_.ranks[stage]), "small");
    svg_.rectangle({kPlotX, y, kPlot, kBar}, "track");
    svg_.rectangle({kPlotX, y + kSendY, kPlot, kSend}, "track");
    for (const TraceEvent& event : chart_.events)
      if (event.rank == chart_.ranks[stage] && is_drawn(event)) bar(event, y);
  }

  void bar(const TraceEvent& event, double y) {
    const double begin_s = std::max(event.begin_s, chart_.begin_s);
    const double end_s = std::min(event.end_s, end_s_);
    if (begin_s >= end_s_ || end_s < begin_s) return;
    const bool sends = event.track == kSending;
    const double width = std::max(kThinnest, x_of(end_s) - x_of(begin_s));
    svg_.rectangle({x_of(begin_s), sends ? y + kSendY : y, width, sends ? kSend : kBar},
                   event.category,
                   fmt::format("{}, step {}: {:.3f} ms", event.name, event.step,
                               1e3 * (event.end_s - event.begin_s)));
  }

  void axis() {
    const double shown_s = end_s_ - chart_.begin_s, step_s = tick_seconds(shown_s);
    for (int i = 0; i * step_s <= shown_s * (1 + 1e-9); ++i) {
      const double x = x_of(chart_.begin_s + i * step_s);
      svg_.line(x, kHead - 6, x, bottom_, "grid");
      svg_.text(x, bottom_ + 12, fmt::format("{:.6g} ms", 1e3 * i * step_s), "small",
                SvgAnchor::kMiddle);
    }
  }

  void legend() {
    double x = kPlotX;
    for (const auto& [css_class, words] :
         {std::pair{"prefill", "prefill"},
          {"decode", "decode"},
          {"mixed", "both in one step"},
          {"transfer", "activations to the next stage, tokens to rank 0"}}) {
      svg_.rectangle({x, bottom_ + 30, 12, 12}, css_class, "", 2);
      svg_.text(x + 18, bottom_ + 40, words, "text");
      x += 60 + 6.5 * static_cast<double>(std::string_view(words).size());
    }
  }

  const GanttChart& chart_;
  double end_s_, bottom_;
  Svg svg_;
};

}  // namespace

std::string gantt_svg(const GanttChart& chart) { return Painter(chart).paint(); }

}  // namespace llmpq
