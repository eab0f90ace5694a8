// llmpq check, and how the other commands bind ranks, where no GPU is seen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "kernels/cpu/isa.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using testing::HasSubstr;

nlohmann::json check_json(std::vector<std::string> more, int ranks, int code = 0) {
  more.insert(more.begin(), {"check", "--json"});
  const ProgramRun run = run_program(more, ranks);
  EXPECT_EQ(run.exit_code, code) << run.err;
  const auto json = parse_json(run.out, "stdout", Exit::kUsage);
  EXPECT_EQ(json["exit_code"], code);
  return json;
}

TEST(Check, OneRankWithoutMpirun) {
  const auto json = check_json({"--backend", "cpu"}, 0);
  ASSERT_EQ(json["ranks"].size(), 1u);
  EXPECT_EQ(json["ranks"][0]["backend"], "cpu");
  EXPECT_GT(json["ranks"][0]["usable_bytes"], 0);
  EXPECT_EQ(json["ranks"][0]["isa"], name(choose_isa("auto")));
  EXPECT_TRUE(json["links"].empty());
  EXPECT_TRUE(json["transfers"].empty());
  EXPECT_EQ(json["notes"], nlohmann::json::array({"rank 0: the CPU: as --backend says"}));
}

TEST(Check, ThreeRanksMeasureEachPair) {
  const auto json = check_json({"--backend", "cpu", "--model", kTiny, "--threads", "9"}, 3);
  ASSERT_EQ(json["ranks"].size(), 3u);
  EXPECT_EQ(json["ranks"][2]["node_rank"], 2);
  ASSERT_EQ(json["transfers"].size(), 3u);
  for (const auto& transfer : json["transfers"]) {
    EXPECT_GT(transfer["gbps"], 0);
    EXPECT_GT(transfer["latency_us"], 0);
  }
  ASSERT_EQ(json["links"].size(), 2u);
  EXPECT_EQ(json["links"][1]["from"], 1);
  EXPECT_EQ(json["links"][1]["kind"], "mpi");
  EXPECT_EQ(json["links"][1]["reason"], "rank 1 computes on its CPU");
  EXPECT_THAT(std::string(json["model"]), HasSubstr("llama, 8 layers"));
  ASSERT_FALSE(json["findings"].empty()) << "27 threads";
  EXPECT_EQ(json["findings"][0]["level"], "warning");
  EXPECT_THAT(std::string(json["findings"][0]["sentence"]), HasSubstr("threads on"));
}

TEST(Check, TablesForPeople) {
  const ProgramRun run = run_program({"check", "--backend", "cpu", "--isa", "plain"}, 3);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("node rank"));
  EXPECT_THAT(run.out, HasSubstr("kernels\n"));
  EXPECT_THAT(run.out, HasSubstr("plain\n"));
  EXPECT_THAT(run.out, HasSubstr("link 1 -> 2: mpi: rank 1 computes on its CPU"));
  EXPECT_THAT(run.out, HasSubstr("GB/s"));
}

TEST(Check, PeaksOfEachRank) {
  const auto json = check_json({"--backend", "cpu", "--peaks", "--threads", "1"}, 2);
  for (const auto& rank : json["ranks"]) {
    EXPECT_GT(rank["peaks"]["read_gbps"], 0);
    EXPECT_GT(rank["peaks"]["f32_gflops"], 0);
    EXPECT_GT(rank["peaks"]["int8_gops"], 0);
    EXPECT_GE(rank["peaks"]["half_gflops"], 0);  // 0 where no instruction multiplies 16-bit pairs
  }
}

TEST(Check, AModelThatDoesNotOpenIsAFinding) {
  const auto json = check_json({"--backend", "cpu", "--model", "/no/such/model"}, 2, 4);
  EXPECT_EQ(json["findings"].back()["exit_code"], 4);
  EXPECT_THAT(std::string(json["findings"].back()["sentence"]), HasSubstr("/no/such/model"));
  EXPECT_EQ(json["ranks"].size(), 2u) << "the rest is shown all the same";
  EXPECT_EQ(json["transfers"].size(), 1u);
}

TEST(Check, FilesThatAJobCannotReadOrWriteAreFindings) {
  const Scratch scratch;
  const auto job = [&](const std::string& prompts, const std::string& output) {
    const std::string path = scratch.path("job.toml");
    std::ofstream(path) << "prompts = \"" << prompts << "\"\noutput = \"" << output << "\"\n";
    return path;
  };
  write_prompts(scratch.path("prompts.h5"), {"The cat"});
  EXPECT_TRUE(check_json({job("prompts.h5", "out.h5"), "--threads", "1"}, 0)["findings"].empty());
  const auto neither =
      check_json({job("none.h5", "none/out.h5"), "--threads", "1"}, 2, 6)["findings"];
  ASSERT_EQ(neither.size(), 2u);
  EXPECT_THAT(std::string(neither[0]["sentence"]), HasSubstr("none does not exist; create it"));
  EXPECT_EQ(neither[1]["exit_code"], 5);
  EXPECT_THAT(std::string(neither[1]["sentence"]), HasSubstr("none.h5: cannot be opened"));
  std::ofstream(scratch.path("out.h5")) << "x";
  const auto there = check_json({job("prompts.h5", "out.h5"), "--threads", "1"}, 0)["findings"];
  ASSERT_EQ(there.size(), 1u);
  EXPECT_EQ(there[0]["level"], "warning");
  EXPECT_THAT(std::string(there[0]["sentence"]),
              HasSubstr("out.h5: exists already and is kept; --overwrite"));
}

TEST(Check, ALinkThatCannotBeIsAFinding) {
  const auto json = check_json({"--backend", "cpu", "--link", "nccl"}, 2, 2);
  EXPECT_THAT(std::string(json["findings"].back()["sentence"]),
              HasSubstr("--link nccl: rank 0 computes on its CPU"));
}

std::vector<std::string> plan(std::vector<std::string> more) {
  more.insert(more.begin(), {"plan", "--model", kTiny});
  return more;
}

TEST(NoGpu, CudaIsAnErrorThatSaysWhy) {
  for (const int ranks : {0, 2}) {
    const ProgramRun run = run_program(plan({"--backend", "cuda"}), ranks);
    EXPECT_EQ(run.exit_code, 7) << run.err;
    EXPECT_THAT(run.err, HasSubstr("llmpq: error: --backend cuda: rank 0 on "));
    EXPECT_THAT(run.err, HasSubstr("has no GPU: "));
    EXPECT_THAT(run.err, HasSubstr("--backend cpu"));
  }
  const ProgramRun second = run_program(plan({"--backend", "cpu,cuda"}), 2);
  EXPECT_EQ(second.exit_code, 7) << second.err;
  EXPECT_THAT(second.err, HasSubstr("--backend cuda: rank 1 on "));
}

TEST(NoGpu, AutoTakesTheCpuAndSaysWhy) {
  const ProgramRun run = run_program(plan({}), 2);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("ranks 0-1: the CPU: "));
}

TEST(NoGpu, CheckShowsTheRanksAndEndsWithTheCode) {
  const auto json = check_json({"--backend", "cuda"}, 3, 7);
  ASSERT_EQ(json["ranks"].size(), 3u);
  EXPECT_EQ(json["ranks"][0]["backend"], "none");
  EXPECT_EQ(json["findings"][0]["exit_code"], 7);
}

TEST(Binding, ListsByRankHaveOneValueOrOneForEachRank) {
  const std::vector<std::string> base{"plan", "--model", kTiny, "--backend"};
  auto words = base;
  words.insert(words.end(), {"cpu", "--emulate", "none", "--emulate", "memory=1GiB"});
  EXPECT_EQ(run_program(words, 2).exit_code, 0);
  const ProgramRun three = run_program(words, 3);
  EXPECT_EQ(three.exit_code, 2);
  EXPECT_THAT(three.err, HasSubstr("--emulate: there are 2 values for 3 ranks"));
  words = base;
  words.push_back("cpu,cpu");
  const ProgramRun backends = run_program(words, 3);
  EXPECT_EQ(backends.exit_code, 2);
  EXPECT_THAT(backends.err, HasSubstr("--backend: there are 2 values for 3 ranks"));
}

TEST(Binding, EmulatedMemoryCapsACpuRank) {
  const ProgramRun run =
      run_program({"plan", "--model", kTiny, "--backend", "cpu", "--emulate", "memory=300KiB"}, 0);
  EXPECT_EQ(run.exit_code, 3) << run.err;
  const ProgramRun sms =
      run_program({"plan", "--model", kTiny, "--backend", "cpu", "--emulate", "sms=3"}, 0);
  EXPECT_EQ(sms.exit_code, 2);
  EXPECT_THAT(sms.err, HasSubstr("--emulate sms=3: rank 0 computes on its CPU"));
}

TEST(Binding, NcclBetweenCpusIsRefused) {
  Scratch scratch;
  write_prompts(scratch.path("prompts.h5"), {"Once upon a time"});
  const ProgramRun run =
      run_program({"generate", "--model", kTiny, "--prompts", scratch.path("prompts.h5"),
                   "--output", scratch.path("out.h5"), "--backend", "cpu", "--link", "nccl"},
                  2);
  EXPECT_EQ(run.exit_code, 2) << run.err;
  EXPECT_THAT(run.err, HasSubstr("--link nccl: rank 0 computes on its CPU"));
}

TEST(Binding, TheArithmeticOfTheRanksIsInTheResult) {
  Scratch scratch;
  write_prompts(scratch.path("prompts.h5"), {"Once upon a time"});
  const ProgramRun run = run_program(
      {"generate", "--model", kTiny, "--prompts", scratch.path("prompts.h5"), "--output",
       scratch.path("out.h5"), "--backend", "cpu", "--max-tokens", "2", "--format", "w4"},
      2);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const ProgramRun inspect = run_program({"inspect", scratch.path("out.h5"), "--json"});
  const auto json = parse_json(inspect.out, "stdout", Exit::kOutput);
  EXPECT_EQ(json["versions"]["arithmetic"],
            nlohmann::json({{"0", "cpu f32+int8"}, {"1", "cpu f32+int8"}}));
}

}  // namespace
}  // namespace llmpq::test
