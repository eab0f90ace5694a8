// --emulate with a clock: the same texts as ever, at the emulated device's speed; what planner and
// profiler see of it; and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/json.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using testing::HasSubstr;
using Flags = std::vector<std::string>;

class Emulated : public testing::Test {
 protected:
  Emulated() { write_prompts(scratch_.path("prompts.h5"), bundled_prompts(0, 4)); }

  Flags generate(const std::string& output, const Flags& more) const {
    Flags words{"generate",
                "--model",
                kTiny,
                "--prompts",
                scratch_.path("prompts.h5"),
                "--output",
                scratch_.path(output),
                "--backend",
                "cpu",
                "--threads",
                "1",
                "--max-tokens",
                "6",
                "--ignore-eos",
                "--format",
                "w4",
                "--layers-per-stage",
                "4,4",
                "--lanes",
                "1",
                "--decode-batch",
                "4"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  /// A profile whose layers take so long for any step.
  std::string profile(const std::string& name, double layer_s, const std::string& shape = "",
                      const std::string& format = "w4") const {
    const nlohmann::json all{{"rows", {1, 1000}}, {"seconds", {layer_s, layer_s}}},
        none{{"rows", {1}}, {"seconds", {0}}};
    const nlohmann::json device{
        {"device", name},    {"backend", "cuda"},        {"source", "made up"},
        {"shape", shape},    {"layer", {{format, all}}}, {"prefill_key_s", 0},
        {"decode_key_s", 0}, {"embedding", none},        {"head", {{"bf16", none}}}};
    std::ofstream(scratch_.path(name))
        << dump_json(nlohmann::json{{"format", "llmpq-profile-1"}, {"devices", {device}}});
    return scratch_.path(name);
  }

  /// Median seconds of a rank's steps, from a timeline's table.
  double median_step_s(const std::string& timeline, int rank) const {
    std::ifstream file(scratch_.path(timeline));
    std::vector<double> seconds;
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      double begin_ms = 0, end_ms = 0;
      int of_rank = 0, step = 0;
      std::string what;
      if (!(words >> begin_ms >> end_ms >> of_rank >> step >> what)) continue;
      if (of_rank == rank && what != "send") seconds.push_back(1e-3 * (end_ms - begin_ms));
    }
    EXPECT_GE(seconds.size(), 6u) << "steps of rank " << rank;
    if (seconds.empty()) return 0;
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
  }

  Scratch scratch_;
};

TEST_F(Emulated, TextsAreTheSameAndStepsLastWhatTheProfileSays) {
  const ProgramRun real = run_program(generate("real.h5", {}), 2);
  ASSERT_EQ(real.exit_code, 0) << real.err;
  const ProgramRun run =
      run_program(generate("out.h5", {"--emulate", "profile=" + profile("fast", 5e-3), "--emulate",
                                      "profile=" + profile("slow", 15e-3), "--timeline",
                                      scratch_.path("timeline.txt")}),
                  2);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(read_output(scratch_.path("out.h5")), read_output(scratch_.path("real.h5")));
  // A busy machine wakes a sleeper late: never a step too short, some too long.
  EXPECT_NEAR(median_step_s("timeline.txt", 0), 20e-3, 4e-3);
  EXPECT_NEAR(median_step_s("timeline.txt", 1), 60e-3, 6e-3);
}

TEST_F(Emulated, ASlowdownGivesTheSameTexts) {
  const ProgramRun real = run_program(generate("real.h5", {}), 2);
  ASSERT_EQ(real.exit_code, 0) << real.err;
  const ProgramRun run =
      run_program(generate("out.h5", {"--emulate", "slowdown=4", "--emulate",
                                      "prefill=20,decode=6,w4.decode=9,memory=1GiB"}),
                  2);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(read_output(scratch_.path("out.h5")), read_output(scratch_.path("real.h5")));
}

TEST_F(Emulated, TheProfilerSeesTheSlowedDevice) {
  const auto profile = [&](const Flags& more) {
    Flags words{"profile",
                "--model",
                kTiny,
                "--backend",
                "cpu",
                "--threads",
                "1",
                "--format",
                "w4",
                "--profile-seconds",
                "2",
                "--json",
                "--profile-cache",
                scratch_.path("cache")};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramRun run = run_program(words);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return parse_json(run.out, "stdout", Exit::kUsage);
  };
  const auto slowed = profile({"--emulate", "prefill=60,decode=15"});
  EXPECT_EQ(slowed["ranks"][0]["origin"], "measured");
  const auto& device = slowed["profile"]["devices"][0];
  EXPECT_THAT(std::string(device["device"]), HasSubstr(" (prefill=60,decode=15)"));
  const auto seconds_of_8 = [](const nlohmann::json& told, const char* curves) {
    const auto& curve = told["profile"]["devices"][0][curves]["w4"];
    for (size_t i = 0; i < curve["rows"].size(); ++i)
      if (curve["rows"][i] == 8) return double{curve["seconds"][i]};
    ADD_FAILURE() << "no point at 8 rows: " << curve.dump();
    return 0.0;
  };
  // The same clock, of CPU time, so that other programs on the machine matter little.
  const auto less = profile({"--emulate", "prefill=15,decode=15"});
  EXPECT_EQ(less["ranks"][0]["origin"], "measured") << "not the other one's from the cache";
  const auto ratio = [&](const char* curves) {
    return seconds_of_8(slowed, curves) / seconds_of_8(less, curves);
  };
  EXPECT_GT(ratio("prefill_layer"), 2);
  EXPECT_LT(ratio("prefill_layer"), 8);
  EXPECT_GT(ratio("layer"), 0.5);
  EXPECT_LT(ratio("layer"), 2);
  EXPECT_LT(5 * seconds_of_8(profile({}), "layer"), seconds_of_8(less, "layer"));
}

TEST_F(Emulated, AProfileIsHandedToThePlanner) {
  const std::string file = profile("fast", 1e-3);
  const ProgramRun run =
      run_program({"profile", "--model", kTiny, "--backend", "cpu", "--json", "--emulate",
                   "profile=" + file, "--profile-cache", scratch_.path("cache")},
                  2);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto json = parse_json(run.out, "stdout", Exit::kUsage);
  EXPECT_EQ(json["ranks"][1]["origin"], file);
  EXPECT_EQ(json["profile"]["devices"][0]["device"], "fast");
}

TEST_F(Emulated, WhatCannotBeIsASentence) {
  const auto refused = [&](const Flags& more, const char* sentence) {
    const ProgramRun run = run_program(generate("out.h5", more), 2);
    EXPECT_EQ(run.exit_code, 2) << run.err;
    EXPECT_THAT(run.err, HasSubstr(sentence));
  };
  refused({"--emulate", "profile=/no/such/file"}, "/no/such/file");
  refused({"--emulate", "profile=" + profile("other", 1, "0123456789abcdef")},
          "other was measured for layers of another model (shape 0123456789abcdef");
  refused({"--emulate", "profile=" + profile("w8", 1, "", "w8")}, "no device has times for it");
  refused({"--emulate", "profile=" + profile("w8", 1, "", "w8"), "--strategy", "manual"},
          "the profile of w8 has no layer in w4");
  refused({"--emulate", "slowdown=0.001"}, "more than 70 % of its");
  refused({"--emulate", "profile=" + profile("too-fast", 1e-9)}, "more than 70 % of its");
  refused({"--emulate", "slowdown=-1"}, "slowdown is \"-1\": want a number above 0");
}

}  // namespace
}  // namespace llmpq::test
