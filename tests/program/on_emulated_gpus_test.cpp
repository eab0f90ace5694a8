// The whole program on emulated GPUs (tests/emulated_gpu): unlike ones in one job, and what goes
// wrong with a GPU before and while it computes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>
#include <sstream>

#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

/// A model that is small enough for GPUs on a CPU, and prompts of a few tokens.
class OnEmulatedGpus : public testing::Test {
 protected:
  void SetUp() override {
    write_dummy_model(model(), {.layers = 3});
    write_token_prompts(prompts(), 6, {5, 12}, 512);
  }

  std::string model() const { return scratch_.path("model"); }
  std::string prompts() const { return scratch_.path("prompts.h5"); }
  std::string output(const std::string& name = "out") const { return scratch_.path(name + ".h5"); }

  static ProgramRun run(const std::vector<std::string>& words, int ranks, Environment environment) {
    environment.emplace_back("LLMPQ_CUDA_MODULE", LLMPQ_EMULATED_MODULE);
    return run_program(words, ranks, {.gpus = true, .environment = std::move(environment)});
  }

  /// Greedy outputs of 6 tokens, one row after the other.
  ProgramRun generate(const std::string& more, int ranks, Environment environment,
                      const std::string& name = "out") const {
    return run(words_of("generate --load-format dummy --model " + model() + " --prompts " +
                        prompts() + " --output " + output(name) +
                        " --max-tokens 6 --temperature 0 --ignore-eos --format w4 --lanes 1 "
                        "--decode-batch 1 --prefill-tokens 16 --mix separated --max-model-len 64 "
                        "--activation-dtype f32 " +
                        more),
               ranks, std::move(environment));
  }

  std::vector<std::vector<int32_t>> tokens(const std::string& name) const {
    std::vector<std::vector<int32_t>> rows;
    for (const OutputRow& row : read_output(output(name))) rows.push_back(row.token_ids);
    return rows;
  }

 private:
  Scratch scratch_;
};

TEST_F(OnEmulatedGpus, UnlikeOnesAndACpuGiveTheCpusTokens) {
  ASSERT_EQ(generate("--backend cpu", 0, {}, "cpu").exit_code, 0);
  const ProgramRun mixed =
      generate("--backend cuda,cuda,cpu", 3,
               {{"LLMPQ_EMULATED_GPU", "90,80"}, {"LLMPQ_EMULATED_SMS", "24,8"}}, "mixed");
  ASSERT_EQ(mixed.exit_code, 0) << mixed.err;
  EXPECT_THAT(mixed.err,
              AllOf(HasSubstr("ranks 0-1: CUDA, each on its own GPU"),
                    HasSubstr("activations travel over mpi: "), HasSubstr("stage 2 is loaded")));
  EXPECT_EQ(tokens("mixed"), tokens("cpu"));
}

TEST_F(OnEmulatedGpus, NcclCarriesWhatMpiDoes) {
  Environment gpus{{"LLMPQ_EMULATED_GPU", "90,80,86"}};
  const ProgramRun nccl = generate("", 3, gpus, "nccl");
  ASSERT_EQ(nccl.exit_code, 0) << nccl.err;
  EXPECT_THAT(nccl.err, HasSubstr("activations travel over nccl: each stage has a GPU of its own"));
  const ProgramRun mpi = generate("--link mpi", 3, gpus, "mpi");
  ASSERT_EQ(mpi.exit_code, 0) << mpi.err;
  EXPECT_EQ(tokens("nccl"), tokens("mpi"));
  gpus.emplace_back("LLMPQ_EMULATED_STREAMS", "late");
  ASSERT_EQ(generate("--link nccl", 3, gpus, "late").exit_code, 0);
  EXPECT_EQ(tokens("late"), tokens("mpi"));
}

TEST_F(OnEmulatedGpus, NcclThatIsMissingOrHangsIsTold) {
  const auto with = [](const char* nccl) {
    return Environment{{"LLMPQ_EMULATED_GPU", "90,80"}, {"LLMPQ_EMULATED_NCCL", nccl}};
  };
  const std::string none = "rank 0: libnccl.so.2 is not in the library path";
  const ProgramRun asked = generate("--link nccl", 2, with("absent"));
  EXPECT_EQ(asked.exit_code, 2) << asked.err;
  EXPECT_THAT(asked.err, HasSubstr("--link nccl: " + none));
  const ProgramRun open = generate("", 2, with("absent"));
  EXPECT_EQ(open.exit_code, 0) << open.err;
  EXPECT_THAT(open.err, HasSubstr("activations travel over mpi: " + none));
  const ProgramRun hung = generate("--overwrite --timeout 2", 2, with("hangs"));
  EXPECT_EQ(hung.exit_code, 8) << hung.err;
  EXPECT_THAT(hung.err, AllOf(HasSubstr("meeting the neighbour's GPU did not end in time"),
                              HasSubstr("--link mpi")));
}

TEST_F(OnEmulatedGpus, AKernelThatFailsLeavesFinishedRowsAndAWayOn) {
  const Environment gpus{{"LLMPQ_EMULATED_GPU", "90,80"}};
  ASSERT_EQ(generate("", 2, gpus, "undisturbed").exit_code, 0);
  Environment faulty = gpus;
  faulty.emplace_back("LLMPQ_EMULATED_FAULT", "kernel:300@1");
  const ProgramRun broken = generate("", 2, faulty);
  EXPECT_EQ(broken.exit_code, 7) << broken.err;
  EXPECT_THAT(broken.err, AllOf(HasSubstr("llmpq: error: rank 1 on "), HasSubstr("stage 1, step "),
                                HasSubstr("cudaErrorIllegalAddress"), HasSubstr("--resume")));
  const int64_t done = committed_rows(output());
  EXPECT_GT(done, 0);
  EXPECT_LT(done, 6);
  const ProgramRun again = generate("--resume", 2, gpus);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr(std::to_string(done) + " of 6 rows are done"));
  EXPECT_EQ(tokens("out"), tokens("undisturbed"));
}

TEST_F(OnEmulatedGpus, AKernelThatNeverEndsIsFoundByTheTimeLimit) {
  const ProgramRun hung = generate(
      "--timeout 2", 2, {{"LLMPQ_EMULATED_GPU", "90,80"}, {"LLMPQ_EMULATED_FAULT", "hang:300@1"}});
  EXPECT_EQ(hung.exit_code, 8) << hung.err;
  EXPECT_THAT(hung.err, AllOf(HasSubstr("no step came back for 2 s (--timeout)"),
                              HasSubstr("stage 1, step "), HasSubstr("has computed for 2 s")));
  EXPECT_GT(committed_rows(output()), 0);
}

TEST_F(OnEmulatedGpus, WhatFailsWhileLoadingNamesItsRank) {
  const ProgramRun taken = generate(
      {}, 2, {{"LLMPQ_EMULATED_GPU", "90,80"}, {"LLMPQ_EMULATED_FAULT", "allocation:9@1"}});
  EXPECT_EQ(taken.exit_code, 3) << taken.err;
  EXPECT_THAT(taken.err, AllOf(HasSubstr("llmpq: error: rank 1 on "), HasSubstr("cannot allocate"),
                               HasSubstr("other processes")));
}

TEST_F(OnEmulatedGpus, AGpuThatOthersHaveFilledIsToldBeforeLoading) {
  const ProgramRun run =
      generate("", 2, {{"LLMPQ_EMULATED_GPU", "90,80"}, {"LLMPQ_EMULATED_TAKEN", "15600"}});
  EXPECT_EQ(run.exit_code, 3) << run.err;
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("rank 1: only 272 MiB of the 16.0 GiB of GPU 1"),
                    HasSubstr("no plan fits into the ranks' memory"), Not(HasSubstr("is loaded"))));
}

/// A cap counts all that a rank takes of the GPU: it is kept by the plan, or there is none.
TEST_F(OnEmulatedGpus, ACapOnMemoryIsThePlansAffair) {
  int fit = 0, none = 0;
  for (const char* cap : {"memory=40MiB", "memory=80MiB", "memory=100MiB"}) {
    const ProgramRun run =
        generate(std::string("--overwrite --kv-cache-dtype int8 --emulate ") + cap, 0, {});
    EXPECT_THAT(run.err, Not(HasSubstr("cannot allocate"))) << cap;
    fit += run.exit_code == 0 ? 1 : 0;
    none += run.exit_code == 3 ? 1 : 0;
  }
  EXPECT_GT(fit, 0);
  EXPECT_GT(none, 0);
  EXPECT_EQ(fit + none, 3);
}

TEST_F(OnEmulatedGpus, AMachineThatCannotComputeSaysWhy) {
  const auto refused = [](Environment environment) {
    const ProgramRun run =
        OnEmulatedGpus::run({"check", "--backend", "cuda"}, 0, std::move(environment));
    EXPECT_EQ(run.exit_code, 7) << run.err << run.out;
    return run.out;
  };
  EXPECT_THAT(refused({{"LLMPQ_EMULATED_DRIVER", "0"}}),
              HasSubstr("there is no NVIDIA driver on this machine"));
  EXPECT_THAT(refused({{"LLMPQ_EMULATED_DRIVER", "12040"}}),
              HasSubstr("the NVIDIA driver supports CUDA 12.4, this build needs 13.0 or newer"));
  EXPECT_THAT(refused({{"CUDA_VISIBLE_DEVICES", ""}}),
              HasSubstr("is CUDA_VISIBLE_DEVICES set to nothing?"));
  EXPECT_THAT(refused({{"LLMPQ_EMULATED_GPU", "75"}}),
              AllOf(HasSubstr("compute capability 7.5, which this build has no code for"),
                    HasSubstr("build with -DLLMPQ_CUDA_ARCHITECTURES=75")));
}

TEST_F(OnEmulatedGpus, OneVisibleToEachIsAnothersToo) {
  const Environment gpus{{"LLMPQ_EMULATED_GPU", "90,80,86"}, {"CUDA_VISIBLE_DEVICES", "2"}};
  const ProgramRun two = run({"check"}, 2, gpus);
  EXPECT_EQ(two.exit_code, 7) << two.err;
  EXPECT_THAT(two.out,
              AllOf(HasSubstr("ranks 0 and 1 on "), HasSubstr("one GPU, emulated GPU 8.6 (GPU-02"),
                    HasSubstr("--share-gpu")));
  const ProgramRun shared = run({"check", "--share-gpu"}, 2, gpus);
  EXPECT_EQ(shared.exit_code, 0) << shared.out;
  EXPECT_THAT(shared.out, HasSubstr("ranks 0-1: CUDA, on shared GPUs (--share-gpu)"));
}

}  // namespace
}  // namespace llmpq::test
