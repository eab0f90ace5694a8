#include "output/timeline.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.hpp"

namespace llmpq {
namespace {

constexpr int kColumns = 120;
constexpr int kMostBlocks = 60;       ///< of the chart; a longer run gets wider slices
constexpr double kSlicesPerStep = 3;  ///< so that a step is wide enough to be seen

char letter(const TraceEvent& event) {
  if (event.category == "prefill") return 'P';
  if (event.category == "decode") return 'D';
  if (event.category == "mixed") return 'M';
  return '=';
}

/// Seconds of one column of the chart.
double slice_seconds(const std::vector<TraceEvent>& events, double end_s) {
  double sum = 0;
  int64_t count = 0;
  for (const TraceEvent& event : events)
    if (event.track == 0) sum += event.end_s - event.begin_s, ++count;
  const double wanted = count ? sum / static_cast<double>(count) / kSlicesPerStep : end_s;
  return std::max({wanted, end_s / (kColumns * kMostBlocks), 1e-6});
}

/// Slices up to a moment; times are differences of clocks, so a border may be missed by a rounding.
double slices(double seconds, double slice_s) {
  const double exact = seconds / slice_s;
  return std::abs(exact - std::round(exact)) < 1e-6 ? std::round(exact) : exact;
}

struct Chart {
  int columns;
  std::vector<std::string> lines;  ///< two per rank: computing, transfers
};

Chart draw(const std::vector<TraceEvent>& events, int ranks, double end_s, double slice_s) {
  Chart chart{static_cast<int>(std::ceil(slices(end_s, slice_s))) + 1, {}};
  chart.lines.assign(static_cast<size_t>(ranks) * 2, std::string(chart.columns, ' '));
  for (size_t rank = 0; rank < static_cast<size_t>(ranks); ++rank)
    chart.lines[2 * rank].assign(chart.columns, '.');
  for (const TraceEvent& event : events) {
    std::string& line = chart.lines.at(static_cast<size_t>(event.rank) * 2 + (event.track ? 1 : 0));
    const int begin = static_cast<int>(slices(event.begin_s, slice_s));
    const int end = std::max(begin + 1, static_cast<int>(slices(event.end_s, slice_s)));
    for (int c = begin; c < end && c < chart.columns; ++c)
      line[static_cast<size_t>(c)] = letter(event);
  }
  return chart;
}

std::string chart_text(const Chart& chart, int ranks, double slice_s) {
  std::string text = fmt::format(
      "One column is {:.3f} ms. P prefill, D decode, M mixed, . nothing to compute; = a transfer "
      "to the next stage (or of tokens to rank 0).\n",
      slice_s * 1e3);
  for (int begin = 0; begin < chart.columns; begin += kColumns) {
    text += fmt::format("\nfrom {:.1f} ms\n", begin * slice_s * 1e3);
    for (int rank = 0; rank < ranks; ++rank) {
      const auto line = static_cast<size_t>(rank) * 2, at = static_cast<size_t>(begin);
      text += fmt::format("rank {:3} |{}|\n", rank, chart.lines[line].substr(at, kColumns));
      text += fmt::format("    send |{}|\n", chart.lines[line + 1].substr(at, kColumns));
    }
  }
  return text;
}

std::string event_table(const std::vector<TraceEvent>& events) {
  std::string text = "\n  begin_ms     end_ms  rank    step  what\n";
  for (const TraceEvent& event : events)
    text +=
        fmt::format("{:10.3f} {:10.3f}  {:4}  {:6}  {}{}\n", event.begin_s * 1e3, event.end_s * 1e3,
                    event.rank, event.step, event.track ? "send " : "", event.name);
  return text;
}

}  // namespace

std::string pack_events(const std::vector<TraceEvent>& events) {
  auto json = nlohmann::json::array();
  for (const TraceEvent& e : events)
    json.push_back({e.name, e.category, e.rank, e.track, e.step, e.begin_s, e.end_s});
  return dump_json(json);
}

std::vector<TraceEvent> unpack_events(std::string_view text) {
  std::vector<TraceEvent> events;
  for (const auto& row : parse_json(text, "a rank's timeline", Exit::kMpi))
    events.push_back({row.at(0), row.at(1), row.at(2), row.at(3), row.at(4), row.at(5), row.at(6)});
  return events;
}

std::vector<TraceEvent> gather_events(const Mpi& mpi, const Timeline& mine, double clock_offset_s) {
  std::vector<TraceEvent> events;
  for (const auto* list :
       {&mine.computing, &mine.waiting, &mine.transfers, &mine.files, &mine.operations})
    events.insert(events.end(), list->begin(), list->end());
  for (TraceEvent& event : events) {
    event.begin_s -= clock_offset_s;
    event.end_s -= clock_offset_s;
  }
  std::vector<TraceEvent> all;
  for (const std::string& text : mpi.gather(pack_events(events)))
    for (TraceEvent& event : unpack_events(text)) all.push_back(std::move(event));
  std::stable_sort(all.begin(), all.end(),
                   [](const TraceEvent& a, const TraceEvent& b) { return a.begin_s < b.begin_s; });
  return all;
}

std::string timeline_text(std::vector<TraceEvent> events, int ranks, double origin_s) {
  std::erase_if(events, [](const TraceEvent& e) { return e.track > kSending; });
  double end_s = 0;
  for (TraceEvent& event : events) {
    event.begin_s -= origin_s;
    event.end_s -= origin_s;
    end_s = std::max(end_s, event.end_s);
  }
  const double slice_s = slice_seconds(events, end_s);
  return chart_text(draw(events, ranks, end_s, slice_s), ranks, slice_s) + event_table(events);
}

}  // namespace llmpq
