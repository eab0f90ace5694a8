#include "output/trace.hpp"

#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "pipeline/timeline.hpp"

namespace llmpq {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kTrackNames[] = {"compute", "send", "wait", "files", "operations"};

Json name_of(const char* what, int64_t process, int64_t thread, const std::string& text) {
  return {
      {"ph", "M"}, {"name", what}, {"pid", process}, {"tid", thread}, {"args", {{"name", text}}}};
}

Json base_of(const TraceEvent& event, const char* phase, double at_s, double origin_s) {
  Json json{{"ph", phase},       {"name", event.name}, {"cat", event.category},
            {"pid", event.rank}, {"tid", event.track}, {"ts", (at_s - origin_s) * 1e6}};
  if (event.step >= 0) json["args"] = {{"step", event.step}};
  return json;
}

void add_bar(Json& list, const TraceEvent& event, double origin_s) {
  list.push_back(base_of(event, "X", event.begin_s, origin_s));
  list.back()["dur"] = (event.end_s - event.begin_s) * 1e6;
}

void add_pair(Json& list, const TraceEvent& event, double origin_s, int64_t id) {
  for (const char* phase : {"b", "e"}) {
    const double at_s = *phase == 'b' ? event.begin_s : event.end_s;
    list.push_back(base_of(event, phase, at_s, origin_s));
    list.back()["id"] = id;
  }
}

}  // namespace

std::string chrome_trace(const std::vector<TraceEvent>& events,
                         const std::vector<std::string>& ranks, double origin_s) {
  Json list = Json::array();
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const auto process = static_cast<int64_t>(rank);
    list.push_back(name_of("process_name", process, 0, ranks[rank]));
    for (const int64_t track : {kComputing, kFiles, kOperations})
      list.push_back(name_of("thread_name", process, track, kTrackNames[track]));
  }
  int64_t id = 0;
  for (const TraceEvent& event : events) {
    if (event.track == kSending || event.track == kWaiting)
      add_pair(list, event, origin_s, ++id);
    else
      add_bar(list, event, origin_s);
  }
  return dump_json(Json{{"traceEvents", std::move(list)}, {"displayTimeUnit", "ms"}}) + "\n";
}

}  // namespace llmpq
