// Every strategy on ranks that are there: each makes a plan by the devices' times, runs it, and
// tells its promise beside what was measured; plan shows all of them side by side.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/json.hpp"
#include "plan/plan_json.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using testing::HasSubstr;
using Flags = std::vector<std::string>;
const std::string kTiny = std::string(LLMPQ_DATA) + "/tiny";

/// Two emulated ranks, the second one three times as slow.
class Strategies : public testing::Test {
 protected:
  Strategies() { write_prompts(path("prompts.h5"), bundled_prompts(0, 6)); }

  std::string path(const std::string& name) const { return scratch_.path(name); }

  std::string profile(const std::string& name, double factor) const {
    const auto curve = [&](double first_s, double last_s) {
      return nlohmann::json{{"rows", {1, 257}}, {"seconds", {factor * first_s, factor * last_s}}};
    };
    const nlohmann::json device{
        {"device", name},
        {"backend", "cuda"},
        {"source", "made up"},
        {"shape", ""},
        {"layer",
         {{"bf16", curve(2e-3, 8e-3)}, {"w8", curve(1e-3, 5e-3)}, {"w4", curve(7e-4, 4e-3)}}},
        {"prefill_key_s", 0},
        {"decode_key_s", 0},
        {"embedding", curve(1e-5, 1e-5)},
        {"head", {{"bf16", curve(1e-4, 1e-3)}}}};
    std::ofstream(path(name)) << dump_json(
        nlohmann::json{{"format", "llmpq-profile-1"}, {"devices", {device}}});
    return "profile=" + path(name);
  }

  ProgramRun run(Flags words, const Flags& more) const {
    words.insert(words.end(),
                 {"--model", kTiny, "--backend", "cpu", "--threads", "1", "--max-model-len", "256",
                  "--emulate", profile("fast", 1), "--emulate", profile("slow", 3)});
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, 2);
  }

  ProgramRun run_job(const std::string& command, const Flags& more) const {
    return run({command, "--prompts", path("prompts.h5"), "--max-tokens", "6", "--ignore-eos"},
               more);
  }

  Scratch scratch_;
};

TEST_F(Strategies, EachGeneratesByItsPlanWhichIsOneOfAll) {
  const ProgramRun all = run_job("plan", {"--strategy", "all", "--json"});
  ASSERT_EQ(all.exit_code, 0) << all.err;
  std::map<std::string, nlohmann::json> compared;
  const auto plans = parse_json(all.out, "stdout", Exit::kUsage);
  for (const auto& one : plans.at("plans")) compared[one.at("strategy")] = one;
  ASSERT_EQ(compared.size(), 6u);
  std::vector<OutputRow> first;
  for (const char* strategy : {"joint", "uniform", "pipeedge", "adabits", "llm-pq"}) {
    const std::string output = path(std::string(strategy) + ".h5");
    const ProgramRun made =
        run_job("generate", {"--strategy", strategy, "--output", output, "--json", "--save-plan",
                             path("plan.json"), "--overwrite"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    const auto report = parse_json(made.out, "stdout", Exit::kUsage);
    EXPECT_EQ(report.at("strategy"), strategy);
    const double promised = report.at("promised_output_tokens_per_s"),
                 measured = report.at("output_tokens_per_s");
    EXPECT_GT(measured, 0);
    EXPECT_LT(measured, 1.1 * promised) << strategy << ": devices cannot be faster than they are";
    const Plan plan = parse_plan(read_file(path("plan.json"), 1 << 20, Exit::kUsage), "plan.json");
    EXPECT_EQ(plan.figures.strategy, strategy);
    EXPECT_NEAR(*plan.figures.simulated_s, double{compared[strategy].at("simulated_s")},
                0.02 * *plan.figures.simulated_s)
        << strategy << ": links are measured anew";
    const auto rows = read_output(output);
    if (first.empty()) first = rows;
    EXPECT_EQ(rows, first) << strategy;
  }
}

TEST_F(Strategies, BenchRunsThemSideBySide) {
  const ProgramRun bench =
      run({"bench", "--input-len", "20", "--output-len", "4", "--num-prompts", "6"},
          {"--strategy", "pipeedge,uniform", "--repetitions", "1", "--warmup", "0", "--json"});
  ASSERT_EQ(bench.exit_code, 0) << bench.err;
  const auto cases = parse_json(bench.out, "stdout", Exit::kUsage).at("cases");
  ASSERT_EQ(cases.size(), 2u);
  EXPECT_EQ(cases[0].at("strategy"), "pipeedge");
  EXPECT_EQ(cases[1].at("strategy"), "uniform");
  for (const auto& one : cases) EXPECT_GT(one.at("predicted_s"), 0);
  EXPECT_THAT(run({"bench"}, {"--strategy", "all"}).err, HasSubstr("--strategy"));
}

TEST_F(Strategies, AWishForQualityHoldsForBaselinesToo) {
  const ProgramRun planned =
      run_job("plan", {"--strategy", "adabits", "--average-bits", "12", "--json"});
  ASSERT_EQ(planned.exit_code, 0) << planned.err;
  double bits = 0;
  for (const Format format : layer_formats(parse_plan(planned.out, "stdout")))
    bits += info(format).bits;
  EXPECT_GE(bits / 8, 12);
}

/// Calibrated on one part of the text, generated by a bound, measured on another part.
TEST_F(Strategies, APromisedPerplexityIsKept) {
  const std::string held_out = read_file(kTiny + "/heldout.txt", 1 << 20, Exit::kUsage);
  std::ofstream(path("seen.txt")) << held_out.substr(0, 12'000);
  std::ofstream(path("unseen.txt")) << held_out.substr(12'000, 24'000);
  const ProgramRun seen =
      run_program({"sensitivity", "--model", kTiny, "--text", path("seen.txt"),
                   "--calibration-runs", "5", "--save-sensitivity", path("s.h5")});
  ASSERT_EQ(seen.exit_code, 0) << seen.err;
  const ProgramRun made =
      run_job("generate", {"--sensitivity", path("s.h5"), "--max-perplexity-increase", "1%",
                           "--output", path("out.h5"), "--save-plan", path("plan.json")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const Plan plan = parse_plan(read_file(path("plan.json"), 1 << 20, Exit::kUsage), "plan.json");
  const auto perplexity = [&](const std::string& formats) {
    const ProgramRun scored = run_program(
        {"eval", "--model", kTiny, "--text", path("unseen.txt"), "--json", "--format", formats}, 2);
    EXPECT_EQ(scored.exit_code, 0) << scored.err;
    return parse_json(scored.out, "stdout", Exit::kUsage).at("perplexity").get<double>();
  };
  std::string formats;
  for (const Format format : layer_formats(plan))
    formats += (formats.empty() ? "" : ",") + std::string(name(format));
  const double measured = perplexity(formats) / perplexity("bf16") - 1;
  EXPECT_LE(*plan.figures.perplexity_increase, 0.01);
  EXPECT_GT(*plan.figures.perplexity_increase, 0.002) << "bits are worth their speed";
  EXPECT_LE(measured, 0.01);
  EXPECT_GT(measured, 0);
}

TEST_F(Strategies, PlansOfRanksAreDrawnAndExplained) {
  const ProgramRun told = run_job("plan", {"--explain", "--svg", path("plan.svg")});
  ASSERT_EQ(told.exit_code, 0) << told.err;
  for (const char* part : {"predicted: ", "memory is tightest on stage", "1 GiB more on rank"})
    EXPECT_THAT(told.out, HasSubstr(part));
  EXPECT_THAT(read_file(path("plan.svg"), 1 << 20, Exit::kUsage), HasSubstr("</svg>"));
  const ProgramRun swept = run_job("plan", {"--sweep", "theta"});
  ASSERT_EQ(swept.exit_code, 0) << swept.err;
  EXPECT_THAT(swept.out, HasSubstr("omega at most"));
  const ProgramRun manual = run_job(
      "plan", {"--svg", path("no.svg"), "--strategy", "manual", "--layers-per-stage", "4,4"});
  EXPECT_EQ(manual.exit_code, 2);
  EXPECT_THAT(manual.err, HasSubstr("this one is made without"));
}

}  // namespace
}  // namespace llmpq::test
