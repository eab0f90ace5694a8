#include "plan/plan_svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/file.hpp"
#include "base/svg.hpp"
#include "plan/compare.hpp"
#include "plan/svg_style.hpp"

namespace llmpq {
namespace {

// Columns from left to right, in pixels.
constexpr double kMargin = 24, kLabels = 190, kStrip = 480, kBusy = 190, kMemory = 130, kGap = 24;
constexpr double kStripX = kMargin + kLabels, kBusyX = kStripX + kStrip + kGap;
constexpr double kMemoryX = kBusyX + kBusy + kGap, kWidth = kMemoryX + kMemory + kMargin;
constexpr double kHead = 96, kFoot = 56;  ///< above and below the rows
constexpr int kTicks = 8;                 ///< layer numbers at most

double row_height(size_t stages) {
  return std::clamp(480.0 / static_cast<double>(stages), 13.0, 40.0);
}

/// 1, 2, 5, 10, ...: so that `count` of them cover `total`.
int tick_step(int total, int count) {
  for (int power = 1;; power *= 10)
    for (const int digit : {1, 2, 5})
      if (digit * power * count >= total) return digit * power;
}

class Painter {
 public:
  explicit Painter(const PlanPicture& picture)
      : picture_(picture),
        row_(row_height(picture.stages.size())),
        bottom_(kHead + row_ * static_cast<double>(picture.stages.size())),
        height_(bottom_ + kFoot + (picture.idle.empty() ? 0 : 18)),
        svg_(kWidth, height_, kSvgStyle, kSvgDarkStyle) {
    for (const PlanPicture::Stage& stage : picture.stages)
      longest_s_ = std::max(longest_s_, stage.prefill_s + stage.decode_s);
  }

  std::string paint() {
    svg_.rectangle({0.5, 0.5, kWidth - 1, height_ - 1}, "page", "", 8);
    svg_.text(kMargin, 34, picture_.title, "title");
    svg_.text(kMargin, 54, picture_.subtitle, "small");
    heads();
    for (size_t i = 0; i < picture_.stages.size(); ++i)
      row(picture_.stages[i], kHead + row_ * static_cast<double>(i));
    legend();
    return svg_.str();
  }

 private:
  double x_of(double layer) const { return kStripX + kStrip * layer / picture_.layers; }

  void heads() {
    const double y = kHead - 12;
    svg_.text(kMargin, y, "stage, device", "small");
    const int step = tick_step(picture_.layers, kTicks);
    for (int layer = 0; layer <= picture_.layers; layer += step) {
      svg_.line(x_of(layer), kHead - 6, x_of(layer), bottom_ + 4, "grid");
      svg_.text(x_of(layer), y, layer == 0 ? "layer 0" : std::to_string(layer), "small",
                layer == 0 ? SvgAnchor::kStart : SvgAnchor::kMiddle);
    }
    svg_.text(kBusyX, y, fmt::format("busy, of {:.3g} s", longest_s_), "small");
    svg_.text(kMemoryX, y, "memory of budget", "small");
  }

  void row(const PlanPicture::Stage& stage, double y) {
    const double bar = row_ * 0.72, top = y + (row_ - bar) / 2;
    const double middle = y + row_ / 2 + 4;
    svg_.text(kMargin, middle, fmt::format("rank {}", stage.rank), "small");
    svg_.text(kMargin + 52, middle, stage.device, row_ < 16 ? "small" : "text");
    svg_.rectangle({kStripX, top, kStrip, bar}, "track", "", 2);
    layers(stage, top, bar);
    busy(stage, top, bar);
    memory(stage, top, bar, middle);
  }

  /// Runs of one format are one box each where single layers would be too thin to see.
  void layers(const PlanPicture::Stage& stage, double top, double bar) {
    const double wide = kStrip / picture_.layers;
    const bool single = wide >= 4;
    const auto count = static_cast<size_t>(stage.end - stage.begin);
    for (size_t begin = 0, end = 0; begin < count; begin = end) {
      end = begin + 1;
      while (!single && end < count && stage.formats[end] == stage.formats[begin]) ++end;
      const int format = stage.formats[begin];
      const std::string& name = picture_.formats.at(static_cast<size_t>(format));
      const int first = stage.begin + static_cast<int>(begin);
      svg_.rectangle(
          {x_of(first), top, wide * static_cast<double>(end - begin) - (single ? 1 : 0), bar},
          format_class(name, format), fmt::format("layer {}: {}", first, name), single ? 1.5 : 0);
    }
  }

  void busy(const PlanPicture::Stage& stage, double top, double bar) {
    const double scale = longest_s_ > 0 ? kBusy / longest_s_ : 0;
    const double prefill = scale * stage.prefill_s, decode = scale * stage.decode_s;
    svg_.rectangle({kBusyX, top, kBusy, bar}, "track", "", 2);
    svg_.rectangle({kBusyX, top, prefill, bar}, "prefill",
                   fmt::format("prefill {:.4g} s", stage.prefill_s));
    svg_.rectangle({kBusyX + prefill, top, decode, bar}, "decode",
                   fmt::format("decode {:.4g} s", stage.decode_s));
  }

  void memory(const PlanPicture::Stage& stage, double top, double bar, double middle) {
    constexpr double kBar = 62, kFull = 0.98;
    const double share = stage.budget_bytes > 0 ? stage.bytes / stage.budget_bytes : 0;
    svg_.rectangle({kMemoryX, top, kBar, bar}, "track", "", 2);
    svg_.rectangle({kMemoryX, top, kBar * std::min(share, 1.0), bar},
                   share > kFull ? "full" : "memory",
                   fmt::format("{} of {}", bytes_text(static_cast<int64_t>(stage.bytes)),
                               bytes_text(static_cast<int64_t>(stage.budget_bytes))));
    svg_.text(kMemoryX + kBar + 8, middle, bytes_text(static_cast<int64_t>(stage.bytes)), "small");
  }

  double key(double x, const std::string& css_class, const std::string& words) {
    const double y = bottom_ + 24;
    svg_.rectangle({x, y, 12, 12}, css_class, "", 2);
    svg_.text(x + 17, y + 10.5, words, "small");
    return x + 30 + 7 * static_cast<double>(words.size());
  }

  void legend() {
    double x = kStripX;
    for (const int format : used_formats()) {
      const std::string& name = picture_.formats.at(static_cast<size_t>(format));
      x = key(x, format_class(name, format), name);
    }
    x = kBusyX;
    if (!picture_.mixed) x = key(x, "prefill", "prefill");
    key(x, "decode", picture_.mixed ? "steps of both phases" : "decode");
    key(kMemoryX, "full", "above 98 %");
    if (!picture_.idle.empty())
      svg_.text(kMargin, bottom_ + 56, fmt::format("idle: {}", fmt::join(picture_.idle, ", ")),
                "small");
  }

  std::set<int> used_formats() const {
    std::set<int> used;
    for (const PlanPicture::Stage& stage : picture_.stages)
      used.insert(stage.formats.begin(), stage.formats.end());
    return used;
  }

  const PlanPicture& picture_;
  const double row_, bottom_, height_;
  Svg svg_;
  double longest_s_ = 0;
};

std::vector<std::string> idle_devices(const Problem& problem, const Assignment& assignment) {
  std::set<int> used;
  for (const AssignedStage& stage : assignment.stages) used.insert(stage.rank);
  std::vector<std::string> idle;
  for (const ProblemGroup& group : problem.groups)
    for (const int rank : group.ranks)
      if (!used.contains(rank)) idle.push_back(fmt::format("rank {} ({})", rank, group.name));
  return idle;
}

}  // namespace

PlanPicture picture_of(const Problem& problem, const Planned& planned) {
  const Assignment& assignment = planned.assignment;
  const Batching& row = problem.batchings.at(static_cast<size_t>(assignment.batching));
  PlanPicture picture;
  const auto bits = average_bits(problem, assignment);
  picture.title = problem.name;
  picture.subtitle = fmt::format(
      "{} by {}: {:.4g} s; chunks of {} tokens, {} lanes of {} sequences; omega {:.4g}{}",
      name(row.mix), name(planned.planner), planned.score.time_s,
      problem.prefill_tokens.at(static_cast<size_t>(row.prefill)), row.in_flight,
      problem.decode_sequences.at(static_cast<size_t>(row.decode)), planned.score.omega,
      bits ? fmt::format(", {:.3g} bits a layer", *bits) : "");
  picture.layers = problem.layers;
  picture.formats = problem.formats;
  picture.mixed = row.mix == Mix::kMixed;
  picture.idle = idle_devices(problem, assignment);
  for (size_t i = 0; i < assignment.stages.size(); ++i) {
    const AssignedStage& stage = assignment.stages[i];
    const ProblemGroup& group = problem.group_with(stage.rank);
    const StageScore busy = busy_of(row, planned.score.stages[i]);
    picture.stages.push_back({.device = group.name,
                              .rank = stage.rank,
                              .begin = stage.begin,
                              .end = stage.end,
                              .formats = stage.formats,
                              .prefill_s = busy.prefill_s,
                              .decode_s = busy.decode_s,
                              .bytes = busy.bytes,
                              .budget_bytes = group.memory_bytes});
  }
  return picture;
}

std::string plan_svg(const PlanPicture& picture) { return Painter(picture).paint(); }

}  // namespace llmpq
