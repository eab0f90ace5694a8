// The life of a job: signals drain it, a rank that does not answer ends it, and whatever happens,
// --resume brings the same rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using Flags = std::vector<std::string>;

constexpr int kStoppedEarly = 75, kMpi = 8, kOutput = 6;
constexpr int kRows = 80;

void sleep_s(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

/// A job of some seconds, and what it gives when nobody disturbs it.
class Life : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    write_prompts(scratch_->path("prompts.h5"), bundled_prompts(0, kRows));
    const ProgramRun run = run_program(job("want.h5", {"--isa", "auto"}), 2);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    want_ = new std::vector<OutputRow>(read_output(scratch_->path("want.h5")));
  }
  static void TearDownTestSuite() {
    delete want_;
    delete scratch_;
  }

  /// The slowest instruction set, so that there is time to meddle; the others give the same bits.
  static Flags job(const std::string& output, const Flags& more = {}) {
    Flags words{"generate",
                "--model",
                kTiny,
                "--prompts",
                scratch_->path("prompts.h5"),
                "--output",
                scratch_->path(output),
                "--max-tokens",
                "32",
                "--ignore-eos",
                "--format",
                "w8",
                "--seed",
                "5",
                "--decode-batch",
                "4",
                "--lanes",
                "2",
                "--resume",
                "--isa",
                "plain"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  nlohmann::json inspect(const std::string& output) const {
    const ProgramRun run = run_program({"inspect", scratch_->path(output), "--json"});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return parse_json(run.out, "stdout", Exit::kOutput);
  }

  /// Waits until a row is committed.
  void wait_for_rows(RunningProgram& program, const std::string& output) const {
    ASSERT_TRUE(program.says("is loaded")) << program.err();
    while (!program.ended() && committed_rows(scratch_->path(output)) == 0) sleep_s(0.005);
  }

  /// Finishes the job on another number of ranks and compares all rows.
  void expect_resumed_is_whole(const std::string& output) const {
    const ProgramRun run = run_program(job(output, {"--isa", "auto"}), 3);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    auto rows = read_output(scratch_->path(output));
    ASSERT_EQ(rows.size(), want_->size());
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].plan_index = (*want_)[i].plan_index;
      EXPECT_TRUE(rows[i] == (*want_)[i]) << "row " << i;
    }
  }

  static Scratch* scratch_;
  static std::vector<OutputRow>* want_;
};
Scratch* Life::scratch_ = nullptr;
std::vector<OutputRow>* Life::want_ = nullptr;

class Signalled : public Life, public testing::WithParamInterface<std::pair<int, int>> {};

TEST_P(Signalled, DrainsAndIsGoneOnWith) {
  const auto [signal, rank] = GetParam();
  const std::string output = "signal-" + std::to_string(signal) + ".h5";
  RunningProgram program(job(output), 3);
  wait_for_rows(program, output);
  ASSERT_TRUE(program.signal_rank(rank, signal));
  const ProgramRun run = program.wait();
  EXPECT_EQ(run.exit_code, kStoppedEarly) << run.err;
  EXPECT_THAT(run.err, HasSubstr((signal == SIGUSR1 ? "SIGUSR1 on rank " : "SIGTERM on rank ") +
                                 std::to_string(rank)));
  EXPECT_THAT(run.err, Not(HasSubstr("stopping at once")));
  const auto json = inspect(output);
  EXPECT_GE(json["rows_done"], 8) << "the running ones have finished";
  EXPECT_LT(json["rows_done"], kRows);
  EXPECT_THAT(run.err, HasSubstr("stopped early: " + json["rows_done"].dump() + " of 80 rows"));
  expect_resumed_is_whole(output);
}
INSTANTIATE_TEST_SUITE_P(Life, Signalled,
                         testing::Values(std::pair{SIGUSR1, 2}, std::pair{SIGTERM, 0}));

TEST_F(Life, CopiesCountOnceAndALaterSignalEndsItAtOnce) {
  RunningProgram program(job("again.h5", {"--max-tokens", "400"}), 3);
  ASSERT_TRUE(program.says("is loaded"));
  sleep_s(0.2);
  for (const int rank : {0, 1, 2}) ASSERT_TRUE(program.signal_rank(rank, SIGUSR1));
  ASSERT_TRUE(program.says("no new prompts"));
  sleep_s(1.5);
  EXPECT_THAT(program.err(), Not(HasSubstr("stopping at once")));
  ASSERT_TRUE(program.signal_rank(1, SIGUSR1)) << program.err();
  const ProgramRun run = program.wait();
  EXPECT_EQ(run.exit_code, kStoppedEarly) << run.err;
  EXPECT_THAT(run.err, HasSubstr("stopping at once"));
}

TEST_F(Life, GraceEnds) {
  RunningProgram program(job("grace.h5", {"--max-tokens", "400", "--grace", "0"}), 2);
  ASSERT_TRUE(program.says("is loaded"));
  sleep_s(0.2);
  ASSERT_TRUE(program.signal_rank(0, SIGTERM));
  const ProgramRun run = program.wait();
  EXPECT_EQ(run.exit_code, kStoppedEarly) << run.err;
  EXPECT_THAT(run.err, HasSubstr("stopping at once"));
}

TEST_F(Life, ADrainThatLeavesNoRowEndsWith0) {
  RunningProgram program(job("few.h5", {"--rows", "0:6"}), 2);
  ASSERT_TRUE(program.says("is loaded"));
  sleep_s(0.2);
  ASSERT_TRUE(program.signal_rank(1, SIGUSR1));
  const ProgramRun run = program.wait();
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("no new prompts"));
  EXPECT_EQ(read_output(scratch_->path("few.h5")).size(), 6u);
}

TEST_F(Life, SigtermToMpirunLosesNothing) {
  RunningProgram program(job("mpirun.h5"), 3);
  wait_for_rows(program, "mpirun.h5");
  const auto before = inspect("mpirun.h5")["rows_done"];
  ASSERT_EQ(kill(program.pid(), SIGTERM), 0);
  EXPECT_NE(program.wait().exit_code, 0);
  EXPECT_GE(inspect("mpirun.h5")["rows_done"], before);
  expect_resumed_is_whole("mpirun.h5");
}

TEST_F(Life, ATraceThatCannotBeWrittenCostsNoRow) {
  const std::string folder = scratch_->path("gone");
  std::filesystem::create_directory(folder);
  RunningProgram program(job("traced.h5", {"--rows", "0:16", "--trace", folder + "/t.json"}), 3);
  ASSERT_TRUE(program.says("is loaded"));
  std::filesystem::remove(folder);
  const ProgramRun run = program.wait();
  EXPECT_EQ(run.exit_code, kOutput) << run.err;
  EXPECT_THAT(run.err, HasSubstr("t.json.new: cannot write: No such file or directory"));
  EXPECT_EQ(read_output(scratch_->path("traced.h5")).size(), 16u);
}

TEST_F(Life, ARankThatFailsEndsTheRunWithAllSaved) {
  const ProgramRun run = run_program(
      job("failed.h5"), 3,
      {.environment = {
           {"LD_PRELOAD", LLMPQ_FAILING_SENDS}, {"FAILING_RANK", "2"}, {"FAILING_AFTER", "100"}}});
  EXPECT_EQ(run.exit_code, kMpi) << run.err;
  const size_t cause = run.err.find("MPI_Isend failed");
  const size_t end = run.err.find("rank 2 has failed, which ends the job: finished rows are saved");
  EXPECT_NE(end, std::string::npos) << run.err;
  EXPECT_LT(cause, end) << run.err;
  EXPECT_THAT(run.err, Not(HasSubstr("no new prompts")));
  EXPECT_GT(inspect("failed.h5")["rows_done"], 0);
  expect_resumed_is_whole("failed.h5");
}

TEST_F(Life, ARankThatDiesIsNoSignalToDrain) {
  RunningProgram program(job("died.h5"), 3);
  wait_for_rows(program, "died.h5");
  ASSERT_TRUE(program.signal_rank(1, SIGKILL));
  const ProgramRun run = program.wait();
  EXPECT_EQ(run.exit_code, 128 + SIGKILL) << run.err;
  EXPECT_THAT(run.err, HasSubstr("by mpirun, which ends all ranks now, because one of them died"));
  EXPECT_THAT(run.err, Not(HasSubstr("no new prompts")));
}

TEST_F(Life, NobodyNeedsToListen) {
  const ProgramRun run = run_program(job("deaf.h5", {"--rows", "0:6"}), 0, {.closed_pipes = true});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(read_output(scratch_->path("deaf.h5")).size(), 6u);
}

TEST_F(Life, AStoppedRankEndsTheRun) {
  for (const int rank : {1, 0}) {
    SCOPED_TRACE("rank " + std::to_string(rank));
    const std::string output = "stopped" + std::to_string(rank) + ".h5";
    RunningProgram program(job(output, {"--timeout", "4"}), 3);
    wait_for_rows(program, output);
    ASSERT_TRUE(program.signal_rank(rank, SIGSTOP));
    const ProgramRun run = program.wait();
    EXPECT_EQ(run.exit_code, kMpi) << run.err;
    const std::string name = std::to_string(rank);
    // Rank 0 misses a step's result or the rank's sign of life, whichever came last before.
    EXPECT_THAT(run.err, HasSubstr("rank " + name + " on "));
    EXPECT_THAT(run.err, HasSubstr(", stage " + name + ", step "));
    EXPECT_THAT(run.err, HasSubstr("no sign of life for"));
    EXPECT_THAT(run.err, HasSubstr("(--timeout)"));
    EXPECT_GT(inspect(output)["rows_done"], 0);
    expect_resumed_is_whole(output);
  }
}

/// A model that takes a while to be loaded.
class Loading : public testing::Test {
 protected:
  Loading() {
    write_dummy_model(scratch_.path("model"), {.hidden = 512, .ffn = 1024, .layers = 30});
    write_token_prompts(scratch_.path("prompts.h5"), 4, {3, 9}, 512);
  }
  Flags job() const {
    return {"generate",
            "--model",
            scratch_.path("model"),
            "--load-format",
            "dummy",
            "--prompts",
            scratch_.path("prompts.h5"),
            "--output",
            scratch_.path("out.h5"),
            "--format",
            "w3",
            "--isa",
            "plain",
            "--timeout",
            "1",
            "--max-tokens",
            "2"};
  }
  Scratch scratch_;
};

TEST_F(Loading, AStoppedRankEndsTheRun) {
  RunningProgram program(job(), 3);
  ASSERT_TRUE(program.says("activations travel"));
  ASSERT_TRUE(program.signal_rank(2, SIGSTOP));
  const ProgramRun run = program.wait();
  EXPECT_EQ(run.exit_code, kMpi) << run.err;
  EXPECT_THAT(run.err, HasSubstr("llmpq: error: rank 2 on "));
  EXPECT_THAT(run.err, HasSubstr(", stage 2, not loaded yet: no sign of life for 1 s"));
}

TEST_F(Loading, ASignalEndsItBeforeTheFirstRow) {
  RunningProgram program(job(), 3);
  ASSERT_TRUE(program.says("activations travel"));
  ASSERT_TRUE(program.signal_rank(1, SIGTERM));
  const ProgramRun run = program.wait();
  EXPECT_EQ(run.exit_code, kStoppedEarly) << run.err;
  EXPECT_THAT(run.err, HasSubstr("stopped by a signal before the first row"));
}

}  // namespace
}  // namespace llmpq::test
