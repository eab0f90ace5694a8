#include "output/trace.hpp"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.hpp"
#include "pipeline/timeline.hpp"

namespace llmpq {
namespace {

nlohmann::json trace_of(const std::vector<TraceEvent>& events) {
  return parse_json(chrome_trace(events, {"rank 0 on a", "rank 1 on b"}, 10), "the trace",
                    Exit::kInternal);
}

TEST(Trace, BarsAndPairsInMicrosecondsFromTheOrigin) {
  const auto json = trace_of({{"prefill 64", "prefill", 0, kComputing, 7, 10.001, 10.003},
                              {"prefill 64", "transfer", 0, kSending, 7, 10.003, 10.004},
                              {"decode 8 lane 0", "wait", 1, kWaiting, 8, 10.002, 10.005},
                              {"commit 3 rows", "file", 0, kFiles, -1, 10.004, 10.0045}});
  std::map<std::string, std::vector<nlohmann::json>> by_phase;
  for (const auto& event : json.at("traceEvents")) by_phase[event.at("ph")].push_back(event);
  ASSERT_EQ(by_phase["X"].size(), 2u);
  const auto& bar = by_phase["X"][0];
  EXPECT_NEAR(bar.at("ts").get<double>(), 1000, 1e-3);
  EXPECT_NEAR(bar.at("dur").get<double>(), 2000, 1e-3);
  EXPECT_EQ(bar.at("args").at("step"), 7);
  EXPECT_EQ(bar.at("cat"), "prefill");
  EXPECT_FALSE(by_phase["X"][1].contains("args")) << "no step commits";
  ASSERT_EQ(by_phase["b"].size(), 2u);
  ASSERT_EQ(by_phase["e"].size(), 2u);
  for (size_t i = 0; i < 2; ++i)
    for (const char* key : {"id", "cat", "name", "pid"})
      EXPECT_EQ(by_phase["b"][i].at(key), by_phase["e"][i].at(key)) << key;
  EXPECT_NE(by_phase["b"][0].at("id"), by_phase["b"][1].at("id"));
  EXPECT_EQ(by_phase["b"][1].at("pid"), 1);
  EXPECT_NEAR(by_phase["e"][1].at("ts").get<double>(), 5000, 1e-3);
}

TEST(Trace, ProcessesAndThreadsHaveNames) {
  const auto json = trace_of({});
  std::set<std::string> names;
  for (const auto& event : json.at("traceEvents")) {
    EXPECT_EQ(event.at("ph"), "M");
    names.insert(event.at("args").at("name"));
  }
  EXPECT_EQ(names, (std::set<std::string>{"rank 0 on a", "rank 1 on b", "compute", "files",
                                          "operations"}));
}

}  // namespace
}  // namespace llmpq
