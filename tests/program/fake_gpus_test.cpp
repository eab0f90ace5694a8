// Which rank gets which GPU, through the whole program, on GPUs that fake_cuda.cpp pretends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/json.hpp"
#include "kernels/backend.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

ProgramRun run_on_fake_gpus(Environment environment, const std::vector<std::string>& words,
                            int ranks) {
  environment.emplace_back("LLMPQ_CUDA_MODULE", LLMPQ_FAKE_CUDA);
  return run_program(words, ranks, {.environment = environment});
}

nlohmann::json check(Environment environment, std::vector<std::string> more, int ranks,
                     int code = 0) {
  more.insert(more.begin(), {"check", "--json"});
  const ProgramRun run = run_on_fake_gpus(std::move(environment), more, ranks);
  EXPECT_EQ(run.exit_code, code) << run.err << run.out;
  return parse_json(run.out, "stdout", Exit::kUsage);
}

TEST(FakeGpus, RanksTakeThemInTurnAndEachHasItsMemory) {
  const auto json = check({{"FAKE_GPUS", "2"}}, {}, 2);
  EXPECT_EQ(json["ranks"][0]["backend"], "cuda");
  EXPECT_EQ(json["ranks"][1]["gpu"]["index"], 1);
  EXPECT_EQ(json["ranks"][1]["gpu"]["uuid"], "GPU-00000001-fake");
  EXPECT_EQ(json["ranks"][0]["usable_bytes"], (int64_t{70} << 30) - (int64_t{80} << 30) / 50);
  EXPECT_GT(json["ranks"][0]["copies"]["to_host_gbps"], 0);
  EXPECT_EQ(json["links"][0]["reason"], "rank 0: these GPUs are not real");
}

TEST(FakeGpus, OneGpuForEachTaskIsTheTasks) {
  const auto json = check({{"FAKE_GPU_PER_TASK", "1"}}, {}, 3);
  EXPECT_EQ(json["ranks"][2]["gpu"]["index"], 0);
  EXPECT_EQ(json["ranks"][2]["gpu"]["uuid"], "GPU-00000002-fake");
}

TEST(FakeGpus, SharingMustBeAllowed) {
  const ProgramRun refused = run_on_fake_gpus({{"FAKE_GPUS", "2"}}, {"plan", "--model", kTiny}, 3);
  EXPECT_EQ(refused.exit_code, 7);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("llmpq: error: ranks 0 and 2 on "),
                                 HasSubstr("one GPU, NVIDIA Fake (GPU-00000000-fake)"),
                                 HasSubstr("--share-gpu")));
  const auto json = check({{"FAKE_GPUS", "2"}}, {"--share-gpu"}, 3);
  EXPECT_EQ(json["ranks"][2]["gpu"]["index"], 0);
  const int64_t margin = (int64_t{80} << 30) / 50;
  EXPECT_EQ(json["ranks"][0]["usable_bytes"], (int64_t{35} << 30) - margin);
  EXPECT_EQ(json["ranks"][1]["usable_bytes"], (int64_t{70} << 30) - margin);
}

TEST(FakeGpus, CpuRanksMayStandBesideThem) {
  const auto json = check({}, {"--backend", "cpu,cuda,cpu"}, 3);
  EXPECT_EQ(json["ranks"][0]["backend"], "cpu");
  EXPECT_EQ(json["ranks"][1]["backend"], "cuda");
  EXPECT_EQ(json["ranks"][2]["backend"], "cpu");
  EXPECT_FALSE(json["ranks"][2].contains("copies"));
}

TEST(FakeGpus, EmulationsCapMemoryAndSms) {
  const auto json =
      check({{"FAKE_GPUS", "2"}}, {"--emulate", "memory=2GiB,sms=8", "--emulate", "none"}, 2);
  EXPECT_EQ(json["ranks"][0]["usable_bytes"],
            (int64_t{2} << 30) - 3 * context_bytes(BackendKind::kCuda));
  EXPECT_EQ(json["ranks"][0]["gpu"]["sms"], 8);
  EXPECT_EQ(json["ranks"][1]["gpu"]["sms"], 108);
  const auto wrong = check({}, {"--emulate", "sms=200"}, 1, 2);
  EXPECT_THAT(std::string(wrong["findings"][0]["sentence"]), HasSubstr("has 108 SMs"));
  const auto clock = check({}, {"--emulate", "slowdown=3"}, 1, 2);
  EXPECT_THAT(std::string(clock["findings"][0]["sentence"]),
              HasSubstr("only CPUs can be another device"));
}

TEST(FakeGpus, WithoutBf16TheyTakeFloat16ForIt) {
  const ProgramRun old = run_on_fake_gpus({{"FAKE_GPU_CAPABILITY", "75"}},
                                          {"plan", "--model", kTiny, "--backend", "cpu,cuda"}, 2);
  EXPECT_EQ(old.exit_code, 0) << old.err;
  EXPECT_THAT(old.err,
              AllOf(HasSubstr("16 bit means f16 in this job, for weights of bf16: rank 1 "
                              "computes on NVIDIA Fake, which has no products of bf16"),
                    HasSubstr("plan: f16 for all layers, because nobody asked for fewer")));
  const ProgramRun asked =
      run_on_fake_gpus({{"FAKE_GPU_CAPABILITY", "75"}},
                       {"plan", "--model", kTiny, "--backend", "cuda", "--format", "bf16"}, 0);
  EXPECT_EQ(asked.exit_code, 0) << asked.err;
  EXPECT_THAT(asked.err, AllOf(HasSubstr("plan: bf16 x8 as asked"), Not(HasSubstr("means f16"))));
}

/// A profile of the pretended GPU in which somebody has chosen kernels.
constexpr char kProfile[] = R"({"format": "llmpq-profile-1", "devices": [{
  "device": "NVIDIA Fake", "backend": "cuda", "source": "measured",
  "layer": {"w4": {"rows": [1], "seconds": [1e-5]}}, "prefill_key_s": 0, "decode_key_s": 0,
  "embedding": {"rows": [1], "seconds": [1e-6]}, "head": {"bf16": {"rows": [1], "seconds": [1e-5]}},
  "products": [
    {"format": "w4", "n": 512, "k": 192, "most_rows": 64, "kernel": "few-rows-ahead"},
    {"format": "w4", "n": 512, "k": 192, "most_rows": 512, "kernel": "wgmma-256"}]}]})";

TEST(FakeGpus, TakeTheKernelsOfTheirProfileUnlessTheJobSaysOtherwise) {
  const Scratch scratch;
  const std::string file = scratch.path("profile.json");
  write_file_atomically(file, kProfile, Exit::kOutput);
  const Environment environment{{"FAKE_GPUS", "1"}, {"FAKE_GPU_TELLS", "1"}};
  std::vector<std::string> words{"profile",   "--model", kTiny,         "--backend", "cuda",
                                 "--profile", file,      "--log-level", "debug"};
  const ProgramRun run = run_on_fake_gpus(environment, words, 1);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, AllOf(HasSubstr("fake GPU: 2 choices\nfake GPU: up to 64 rows kernel 1\n"),
                             HasSubstr("GPU kernels of w4 [512, 192]: up to 64 rows")));
  EXPECT_THAT(run.out,
              HasSubstr("GPU kernels of w4 [512, 192]: up to 64 rows few-rows-ahead, up to "
                        "512 rows wgmma-256\n"));
  words.insert(words.end(), {"--gpu-kernels", "usual"});
  const ProgramRun usual = run_on_fake_gpus(environment, words, 1);
  ASSERT_EQ(usual.exit_code, 0) << usual.err;
  EXPECT_THAT(usual.err, HasSubstr("fake GPU: 0 choices\n"));
}

}  // namespace
}  // namespace llmpq::test
