// A large dataset: a million prompts, of which one token each is generated. Label slow.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json.hpp"
#include "base/timer.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

/// LLMPQ_BIG_ROWS makes it smaller.
int64_t rows_wanted() {
  const char* rows = std::getenv("LLMPQ_BIG_ROWS");
  return rows ? std::atoll(rows) : 1'000'000;
}

int64_t resident_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;)
    if (int64_t kib = 0; word == "VmRSS:" && status >> kib) return kib;
  return 0;
}

class SlowBigData : public testing::Test {
 protected:
  std::vector<std::string> job() const {
    return {"generate",      "--model",      scratch_.path("model"),
            "--load-format", "dummy",        "--prompts",
            prompts(),       "--output",     output(),
            "--resume",      "--max-tokens", "1",
            "--json",        "--log-level",  "error"};
  }
  std::string prompts() const { return scratch_.path("prompts.h5"); }
  std::string output() const { return scratch_.path("out.h5"); }
  /// Waits until more rows than these are committed.
  void wait_for(RunningProgram& program, int64_t rows) const {
    while (!program.ended() && committed_rows(output()) <= rows)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }

  Scratch scratch_;
};

TEST_F(SlowBigData, MemoryIsFlatWritingIsHiddenAndResumeStartsInSeconds) {
  const int64_t rows = rows_wanted();
  write_dummy_model(scratch_.path("model"), {});
  write_token_prompts(prompts(), rows, {20, 200}, 512);
  int64_t early_kib = 0, late_kib = 0;
  {
    RunningProgram first(job(), 0, {.kill_after_s = 3000});
    wait_for(first, rows / 10);
    early_kib = resident_kib(first.pid());
    wait_for(first, rows / 10 * 9);
    late_kib = resident_kib(first.pid());
    first.kill_all();
  }
  const int64_t done = committed_rows(output());
  const Timer timer;
  RunningProgram second(job(), 0, {.kill_after_s = 3000});
  wait_for(second, done);
  const double start_s = timer.seconds();
  const ProgramRun run = second.wait();
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto json = parse_json(run.out, "stdout", Exit::kInternal);
  EXPECT_EQ(json["rows_done"], rows);
  const auto share = [&](const char* what) {
    return json[what].get<double>() / json["run_s"].get<double>();
  };
  const double writing = share("writing_s"), starved = share("starved_s");
  std::printf(
      "%lld rows: %lld KiB at 10 %%, %lld KiB at 90 %%; resumed at %lld rows, its first rows were "
      "committed after %.1f s; %.1f s in all; %.1f %% of the run writing beside computing, %.1f %% "
      "without a prompt at hand\n",
      static_cast<long long>(rows), static_cast<long long>(early_kib),
      static_cast<long long>(late_kib), static_cast<long long>(done), start_s, timer.seconds(),
      100 * writing, 100 * starved);
  EXPECT_LT(late_kib, early_kib + 32 * 1024) << "the prompts alone are 4 bytes a token";
  EXPECT_LT(writing, 0.5);
  EXPECT_LT(starved, 0.01) << "neither reading nor writing stalls the pipeline";
  EXPECT_LT(start_s, 30);
}

}  // namespace
}  // namespace llmpq::test
