// llmpq plan --problem: solves files without a model, and tests/plan/plan_check.py (Python, its own
// formulas) accepts every plan that comes out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "plan/plan_json.hpp"
#include "plan/problem_case.hpp"
#include "plan/problem_json.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using testing::HasSubstr;

ProgramRun plan(const std::string& problem, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"plan", "--problem", problem});
  return run_program(more, 0);
}

std::string write(const Scratch& scratch, const std::string& name, const std::string& text) {
  const std::string path = scratch.path(name);
  write_file_atomically(path, text, Exit::kOutput);
  return path;
}

int python(const std::string& words) {
  return std::system(("python3 " LLMPQ_TEST_DATA "/plan/" + words + " > /dev/null").c_str());
}

TEST(PlanProblem, ThePlansPassTheCheckerInPython) {
  if (std::system("python3 -c pass") != 0) GTEST_SKIP() << "there is no python3";
  Scratch scratch;
  int solved = 0, infeasible = 0;
  for (int seed = 0; seed < 40; ++seed) {
    const Problem problem = ProblemMaker(static_cast<uint64_t>(500 + seed)).make();
    const std::string file = write(scratch, "problem.json", to_json(problem));
    const std::string saved = scratch.path("plan.json");
    const ProgramRun run =
        plan(file, {"--save-plan", saved, "--optimality-gap", seed % 2 ? "0" : "0.05"});
    if (run.exit_code == 3) {
      ++infeasible;
      EXPECT_THAT(run.err, HasSubstr("it is proven that no plan keeps memory"));
      continue;
    }
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr("objective "));
    EXPECT_EQ(python("plan_check.py " + file + " " + saved), 0) << "seed " << 500 + seed;
    ++solved;
  }
  EXPECT_GT(solved, 20);
  EXPECT_GT(infeasible, 0);
}

TEST(PlanProblem, AClusterOfThePaper) {
  if (std::system("python3 -c pass") != 0) GTEST_SKIP() << "there is no python3";
  Scratch scratch;
  ASSERT_EQ(python("make_problems.py " + scratch.path("clusters") + " --theta 0.1"), 0);
  const std::string file = scratch.path("clusters/paper-06.json");
  const ProgramRun table = plan(file);
  ASSERT_EQ(table.exit_code, 0) << table.err;
  for (const char* part : {"paper-06: 64 layers on ", "prefill chunks of ", "busy s", "A100-40G",
                           "no plan is below ", "gap 0.", "found by joint in "})
    EXPECT_THAT(table.out, HasSubstr(part));
  const ProgramRun json = plan(file, {"--json"});
  ASSERT_EQ(json.exit_code, 0) << json.err;
  const Plan read = parse_plan(json.out, "stdout");
  EXPECT_EQ(read.layers, 64);
  EXPECT_EQ(read.figures.problem, "paper-06");
  EXPECT_LE(1 - *read.figures.lower_bound / *read.figures.objective, 0.005 + 1e-9);
  EXPECT_EQ(python("plan_check.py " + file + " " + write(scratch, "plan.json", json.out)), 0);
}

TEST(PlanProblem, EveryStrategyByItselfAndSideBySide) {
  if (std::system("python3 -c pass") != 0) GTEST_SKIP() << "there is no python3";
  Scratch scratch;
  ASSERT_EQ(python("make_problems.py " + scratch.path("clusters") + " --theta 0.1"), 0);
  const std::string file = scratch.path("clusters/paper-04.json");
  const ProgramRun all = plan(file, {"--strategy", "all", "--json"});
  ASSERT_EQ(all.exit_code, 0) << all.err;
  const auto plans = nlohmann::json::parse(all.out).at("plans");
  ASSERT_EQ(plans.size(), 6u);
  for (const auto& one : plans) {
    const std::string strategy = one.at("strategy");
    ASSERT_TRUE(one.at("found").get<bool>()) << strategy;
    EXPECT_GE(one.at("gap").get<double>(), -1e-9) << strategy;
    if (strategy == "joint" || strategy == "llm-pq-transfer") continue;
    const ProgramRun run = plan(file, {"--strategy", strategy, "--json"});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_EQ(nlohmann::json::parse(run.out).at("objective"), one.at("objective")) << strategy;
    EXPECT_EQ(python("plan_check.py " + file + " " + write(scratch, "plan.json", run.out)), 0);
  }
  const ProgramRun table = plan(file, {"--strategy", "all"});
  for (const char* part : {"strategy", "times joint's", "gap %", "llm-pq-transfer",
                           "\nuniform: ", "no plan is below "})
    EXPECT_THAT(table.out, HasSubstr(part));
  const ProgramRun saved = plan(file, {"--strategy", "all", "--save-plan", scratch.path("plan")});
  EXPECT_EQ(saved.exit_code, 2);
  EXPECT_THAT(saved.err, HasSubstr("to save one, name its strategy"));
}

TEST(PlanProblem, PictureExplanationAndCurve) {
  if (std::system("python3 -c pass") != 0) GTEST_SKIP() << "there is no python3";
  Scratch scratch;
  ASSERT_EQ(python("make_problems.py " + scratch.path("clusters")), 0);
  const std::string file = scratch.path("clusters/paper-04.json");
  const std::string picture = scratch.path("plan.svg"), curve = scratch.path("curve.svg");
  const ProgramRun run = plan(file, {"--explain", "--svg", picture});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  for (const char* part : {"memory is tightest on stage", "one more P100", "1 GiB more on rank"})
    EXPECT_THAT(run.out, HasSubstr(part));
  const ProgramRun swept = plan(file, {"--sweep", "theta", "--svg", curve});
  ASSERT_EQ(swept.exit_code, 0) << swept.err;
  EXPECT_THAT(swept.out, HasSubstr("omega at most"));
  for (const std::string& drawn : {picture, curve})
    EXPECT_EQ(
        std::system(
            ("python3 -c \"import sys, xml.dom.minidom as m; m.parse('" + drawn + "')\"").c_str()),
        0);
  EXPECT_THAT(plan(file, {"--max-batch"}).err, HasSubstr("give --cluster, or --model and ranks"));
}

TEST(PlanProblem, TheCheckerCanFail) {
  if (std::system("python3 -c pass") != 0) GTEST_SKIP() << "there is no python3";
  Scratch scratch;
  const std::string file = write(scratch, "problem.json", to_json(ProblemMaker(501).make()));
  const ProgramRun run = plan(file, {"--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  std::string text = run.out;
  const size_t at = text.find("\"time_s\": ") + 10;
  text.insert(at, "1");
  EXPECT_NE(python("plan_check.py " + file + " " + write(scratch, "plan.json", text)), 0);
}

TEST(PlanProblem, NoPlanAndNoTimeHaveTheirOwnSentences) {
  Scratch scratch;
  Problem problem = ProblemMaker(501).make();
  const std::string good = write(scratch, "good.json", to_json(problem));
  const ProgramRun late = plan(good, {"--plan-time-limit", "0"});
  EXPECT_EQ(late.exit_code, 3);
  EXPECT_THAT(late.err, HasSubstr("there may be one: give more time with --plan-time-limit"));
  for (ProblemGroup& group : problem.groups) group.memory_bytes = 1;
  const ProgramRun none = plan(write(scratch, "small.json", to_json(problem)));
  EXPECT_EQ(none.exit_code, 3);
  EXPECT_THAT(none.err, HasSubstr("it is proven that no plan keeps memory"));
}

TEST(PlanProblem, AMalformedFileIsUsage) {
  Scratch scratch;
  const ProgramRun broken = plan(write(scratch, "broken.json", "{\"format\": \"x\"}"));
  EXPECT_EQ(broken.exit_code, 2);
  EXPECT_THAT(broken.err, HasSubstr("broken.json: format: want \"llmpq-problem-1\""));
  const ProgramRun missing = plan(scratch.path("missing.json"));
  EXPECT_EQ(missing.exit_code, 2);
}

}  // namespace
}  // namespace llmpq::test
