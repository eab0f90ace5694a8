// SIGKILL at random moments, of one rank or of all: what was committed is there, and the finished
// file has every row as if nothing had happened. Twenty kills; two hundred under the label slow.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <random>
#include <thread>

#include "output/output_files.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

namespace fs = std::filesystem;
using Flags = std::vector<std::string>;

const Flags kFlavors[] = {{"--temperature", "0", "--logprobs", "1"},
                          {"--temperature", "1.2", "--top-k", "40", "--num-samples", "2"}};

void sleep_s(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

class Kills {
 public:
  explicit Kills(unsigned seed) : random_(seed) {
    write_dummy_model(scratch_.path("model"), {.layers = 3});
    write_token_prompts(scratch_.path("prompts.h5"), 500, {5, 40}, 512);
    for (int flavor : {0, 1}) {
      const std::string name = "want" + std::to_string(flavor) + ".h5";
      Flags fast = job(name, flavor);
      fast.insert(fast.end(), {"--isa", "auto", "--decode-batch", "32"});
      const ProgramRun run = run_program(fast, 0);
      EXPECT_EQ(run.exit_code, 0) << run.err;
      want_.push_back(read_output(scratch_.path(name)));
    }
  }

  /// Kills runs until so many were killed; each job is gone on with until it is complete.
  void run(int kills) {
    for (int job = 0; killed_ < kills && !testing::Test::HasFailure(); ++job) {
      const std::string name = "out" + std::to_string(job) + ".h5";
      while (!complete(name) && !testing::Test::HasFailure()) run_once(name, job % 2, kills);
      compare(name, job % 2);
    }
    std::printf("%d kills, %d of them of one rank; %d found rows of earlier runs\n", killed_,
                ranks_killed_, resumed_);
    EXPECT_GT(resumed_, kills / 4) << "too many were killed before they had done anything";
  }

 private:
  Flags job(const std::string& output, int flavor) const {
    Flags words{"generate",
                "--model",
                scratch_.path("model"),
                "--prompts",
                scratch_.path("prompts.h5"),
                "--output",
                scratch_.path(output),
                "--load-format",
                "dummy",
                "--max-tokens",
                "24",
                "--resume",
                "--isa",
                "plain",
                "--decode-batch",
                "4",
                "--lanes",
                "2",
                "--log-level",
                "error"};
    words.insert(words.end(), kFlavors[flavor].begin(), kFlavors[flavor].end());
    return words;
  }

  bool complete(const std::string& name) const { return fs::exists(scratch_.path(name)); }
  double uniform(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  }

  void run_once(const std::string& name, int flavor, int kills) {
    const int ranks = static_cast<int>(random_() % 4);  // 0: without mpirun
    RunningProgram program(job(name, flavor), ranks);
    if (killed_ == kills) {
      const ProgramRun run = program.wait();
      EXPECT_EQ(run.exit_code, 0) << run.err;
      return;
    }
    const std::string output = scratch_.path(name);
    // Most moments count from when rows may come, however long the start takes.
    if (random_() % 4 != 0) wait_for_journal(program, output);
    sleep_s(uniform(0, 0.9));
    const int64_t before = committed_rows(output);
    const bool one = ranks > 1 && random_() % 3 == 0;
    const bool rank_killed = one && program.signal_rank(random_() % 2 == 0 ? 0 : 1, SIGKILL);
    const ProgramRun run = rank_killed ? program.wait() : program.kill_all();
    if (complete(name)) return;
    ++killed_;
    ranks_killed_ += rank_killed;
    resumed_ += before > 0;
    EXPECT_NE(run.exit_code, 0);
    EXPECT_GE(committed_rows(output), before) << run.err;
  }

  /// Until this run has the journal in its hands.
  void wait_for_journal(RunningProgram& program, const std::string& output) const {
    while (!program.ended() && !(fs::exists(output + ".part") && lock_owner(output)))
      sleep_s(0.002);
  }

  void compare(const std::string& name, int flavor) const {
    // One that was killed just after it had put the output in its place has left files beside it.
    EXPECT_EQ(run_program(job(name, flavor), 0).exit_code, 0);
    auto rows = read_output(scratch_.path(name));
    const auto& want = want_[static_cast<size_t>(flavor)];
    ASSERT_EQ(rows.size(), want.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].plan_index = want[i].plan_index;  // tells which run made the row
      EXPECT_TRUE(rows[i] == want[i]) << name << " row " << i;
    }
    int others = 0;
    for (const auto& entry : fs::directory_iterator(fs::path(scratch_.path(name)).parent_path()))
      others += entry.path().string().starts_with(scratch_.path(name) + ".part");
    EXPECT_EQ(others, 0) << "files are left beside the output";
  }

  Scratch scratch_;
  std::mt19937 random_;
  std::vector<std::vector<OutputRow>> want_;
  int killed_ = 0, ranks_killed_ = 0, resumed_ = 0;
};

TEST(Kills, TwentyLoseNothing) { Kills(1).run(20); }
TEST(SlowKills, TwoHundredLoseNothing) { Kills(2).run(200); }

}  // namespace
}  // namespace llmpq::test
