// Strategy joint as a user meets it: plans by given times on the ranks of this host, promises
// beside what was measured, wishes for quality, and sentences for what cannot be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.hpp"
#include "base/json.hpp"
#include "input/checkpoint.hpp"
#include "kernels/backend.hpp"
#include "plan/plan_json.hpp"
#include "plan/problem_json.hpp"
#include "profile/profile_json.hpp"
#include "profile/sensitivity_file.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using testing::HasSubstr;
using Flags = std::vector<std::string>;

/// A CPU of this host that takes a fixed time for a layer and `factor` times a time a row.
DeviceProfile cpu(double factor) {
  DeviceProfile profile;
  profile.device = make_cpu_backend(1, "auto")->device().name;
  profile.source = "measured";
  LatencyModel& model = profile.model;
  const auto curve = [&](double row_us) {
    return Curve{{1, 512}, {factor * 2e-5, factor * (2e-5 + 512e-6 * row_us)}};
  };
  model.layer = {{Format::kBf16, curve(16)},
                 {Format::kW8, curve(8)},
                 {Format::kW4, curve(5)},
                 {Format::kW3, curve(4)}};
  model.embedding = curve(0.1);
  model.head = {{Format::kBf16, curve(10)}};
  return profile;
}

class Joint : public testing::Test {
 protected:
  Joint() { write_prompts(path("prompts.h5"), bundled_prompts(0, 24)); }

  std::string path(const std::string& name) const { return scratch_.path(name); }

  std::string profile(const std::vector<double>& factors) const {
    ProfileFile file;
    for (double factor : factors) file.devices.push_back(cpu(factor));
    std::ofstream(path("profile.json")) << to_json(file);
    return path("profile.json");
  }

  /// Nats: w8 0.0005, w4 0.002, w3 0.01 for each layer; sums of four w4 are foreseen as 0.8 %.
  std::string sensitivity(bool calibrated) const {
    const auto checkpoint = open_checkpoint(kTiny);
    Sensitivity made;
    made.model_hash = checkpoint->content_hash();
    made.omega.assign(8, {0, 0, 1, 16, 64});
    if (calibrated) {
      made.quality.emplace();
      made.quality->loss_increase.assign(8, {0, 0, 0.0005, 0.002, 0.01});
      made.quality->relative_error = 0.1;
      made.quality->runs = {{std::vector<Format>(8, Format::kW4), 0.016, 0.001}};
    }
    save_sensitivity(path("sensitivity.h5"), made);
    return path("sensitivity.h5");
  }

  ProgramRun run(const std::string& command, const Flags& more, int ranks) const {
    Flags words{command,     "--model", kTiny,          "--prompts", path("prompts.h5"),
                "--threads", "1",       "--max-tokens", "16",        "--ignore-eos"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, ranks);
  }

  Plan plan(Flags more, int ranks) const {
    more.push_back("--json");
    const ProgramRun planned = run("plan", more, ranks);
    EXPECT_EQ(planned.exit_code, 0) << planned.err;
    return parse_plan(planned.out, "stdout");
  }

  Scratch scratch_;
};

TEST_F(Joint, ASlowRankIsLeftOutOrGetsLess) {
  const Plan even = plan({"--profile", profile({1, 1}), "--save-problem", path("p.json")}, 2);
  ASSERT_TRUE(even.figures.simulated_s);
  EXPECT_GT(*even.figures.simulated_s, 0);
  const Problem problem =
      parse_problem(read_file(path("p.json"), 64 << 20, Exit::kUsage), "p.json");
  EXPECT_LT(static_cast<size_t>(*even.figures.batching), problem.batchings.size());
  const Plan uneven = plan({"--profile", profile({1, 6})}, 2);
  int64_t on_slow = 0;
  for (const StagePlan& stage : uneven.pipelines[0].stages)
    if (stage.ranks[0] == 1) on_slow = stage.layer_end - stage.layer_begin;
  EXPECT_LE(on_slow, 2);
  EXPECT_GT(*uneven.figures.simulated_s, *even.figures.simulated_s);
}

TEST_F(Joint, PromisesStandBesideWhatWasMeasured) {
  const std::string file = profile({1});
  const ProgramRun table =
      run("generate",
          {"--profile", file, "--output", path("out.h5"), "--save-plan", path("p.json")}, 2);
  ASSERT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("output tokens/s, as promised"));
  EXPECT_THAT(table.err, HasSubstr("16 for all layers, because nobody asked for fewer bits"));
  const ProgramRun again = run("generate",
                               {"--profile", file, "--output", path("again.h5"), "--plan",
                                path("p.json"), "--json", "--log-level", "error"},
                               2);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  const auto json = parse_json(again.out, "stdout", Exit::kInternal);
  EXPECT_GT(json["promised_output_tokens_per_s"], 0);
  EXPECT_EQ(read_output(path("again.h5")), read_output(path("out.h5")));
}

TEST_F(Joint, ShortJobsArePlannedByMemory) {
  const ProgramRun run_ = run("plan", {}, 2);
  ASSERT_EQ(run_.exit_code, 0) << run_.err;
  EXPECT_THAT(run_.err, HasSubstr("too short to measure the devices for it"));
  EXPECT_THAT(run_.out, testing::Not(HasSubstr("predicted")));
}

TEST_F(Joint, MeasuresWhenItIsTold) {
  const ProgramRun measured =
      run("plan", {"--profile-seconds", "0.3", "--format", "w4", "--layers-per-stage", "3,5"}, 2);
  ASSERT_EQ(measured.exit_code, 0) << measured.err;
  EXPECT_THAT(measured.err, HasSubstr("was measured in"));
  for (const char* part :
       {"predicted: ", "output tokens/s", "444  ", "4444 4", "time: ", "memory: "})
    EXPECT_THAT(measured.out, HasSubstr(part));
}

TEST_F(Joint, WhatIsKeptServesJobsWithFewerFormats) {
  const Flags kept{"--profile-cache", path("cache"), "--profile-seconds", "0.3"};
  const ProgramRun first = run("plan", kept, 0);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.err, HasSubstr("was measured in"));
  Flags fewer = kept;
  fewer.insert(fewer.end(), {"--format", "bf16"});
  const ProgramRun second = run("plan", fewer, 0);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.err, testing::Not(HasSubstr("was measured in")));
  EXPECT_THAT(second.out, HasSubstr("predicted: "));
}

TEST_F(Joint, ThePerplexityIsBounded) {
  const Plan bounded = plan({"--profile", profile({1}), "--sensitivity", sensitivity(true),
                             "--max-perplexity-increase", "1%"},
                            2);
  ASSERT_TRUE(bounded.figures.perplexity_increase);
  EXPECT_LE(*bounded.figures.perplexity_increase, 0.01);
  EXPECT_GT(*bounded.figures.perplexity_increase, 0.004) << "bits are worth their speed";
  EXPECT_EQ(bounded.figures.perplexity_quantizer, Quantizer::kRtn);
  const Plan best = plan({"--profile", profile({1}), "--sensitivity", sensitivity(true)}, 2);
  EXPECT_EQ(*best.figures.perplexity_increase, 0) << "nobody asked for fewer bits";
}

TEST_F(Joint, EvalShowsThePromiseBesideWhatItMeasured) {
  std::ofstream(path("text.txt"))
      << read_file(std::string(kTiny) + "/heldout.txt", 16 << 20, Exit::kUsage).substr(0, 3000);
  const ProgramRun judged = run(
      "eval",
      {"--profile", profile({1}), "--sensitivity", sensitivity(true), "--max-perplexity-increase",
       "1%", "--text", path("text.txt"), "--window", "256", "--divergence", "--json"},
      2);
  ASSERT_EQ(judged.exit_code, 0) << judged.err;
  const auto json = parse_json(judged.out, "stdout", Exit::kInternal);
  EXPECT_LE(json["promised"]["perplexity_increase"], 0.01);
  EXPECT_GT(json["promised"]["perplexity_increase"], 0.004);
  EXPECT_EQ(json["promised"]["quantizer"], "rtn");
  EXPECT_LT(json["divergence"]["perplexity_increase"], 0.05);
}

TEST_F(Joint, AverageBitsAreKeptAndGoToSensitiveLayers) {
  const Plan plan_ = plan({"--profile", profile({1}), "--average-bits", "6"}, 1);
  double bits = 0;
  for (Format format : layer_formats(plan_)) bits += info(format).bits;
  EXPECT_GE(bits / 8, 6);
  EXPECT_LT(bits / 8, 16);
}

TEST_F(Joint, WhatCannotBeIsASentence) {
  const auto error = [&](const Flags& flags, int code) {
    const ProgramRun failed = run("plan", flags, 0);
    EXPECT_EQ(failed.exit_code, code) << failed.err;
    return failed.err;
  };
  const Flags timed{"--profile", profile({1})};
  const auto with = [&](Flags more) {
    more.insert(more.end(), timed.begin(), timed.end());
    return more;
  };
  EXPECT_THAT(error({"--max-perplexity-increase", "1"}, 2), HasSubstr("with a percent sign"));
  EXPECT_THAT(error({"--theta", "1", "--average-bits", "8"}, 2),
              HasSubstr("theta and average-bits are wishes for quality: give only one"));
  EXPECT_THAT(error({"--theta", "1", "--format", "w4"}, 2), HasSubstr("leaves them to the plan"));
  EXPECT_THAT(error(with({"--max-perplexity-increase", "1%"}), 2),
              HasSubstr("needs --sensitivity FILE"));
  EXPECT_THAT(error(with({"--theta", "1"}), 2), HasSubstr("theta needs --sensitivity FILE"));
  EXPECT_THAT(
      error(with({"--max-perplexity-increase", "1%", "--sensitivity", sensitivity(false)}), 2),
      HasSubstr("is not calibrated"));
  const Flags tight = with({"--sensitivity", sensitivity(true), "--memory-limit", "4600KiB",
                            "--max-perplexity-increase", "0.1%"});
  EXPECT_THAT(error(tight, 3), HasSubstr("What would fit: --max-perplexity-increase "));
}

}  // namespace
}  // namespace llmpq::test
