// `cmake --install` gives a tree that runs from wherever it is moved to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "program/files.hpp"
#include "program/run_shell.hpp"

namespace llmpq::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Words = std::vector<std::string>;

/// Installed once, and moved before anything is run.
class Install : public testing::Test {
 protected:
  void SetUp() override {
    const std::string first = scratch_.path("first");
    const ShellRun run = run_shell({"cmake", "--install", LLMPQ_BUILD, "--prefix", first});
    ASSERT_EQ(run.exit_code, 0) << run.out;
    fs::rename(first, prefix_);
  }
  /// In a folder from which no source tree is to be seen, with nothing that says where data is.
  ShellRun run(Words words) const {
    words.insert(words.begin(), {"env", "--chdir=" + scratch_.path(""), "-u", "LLMPQ_DATA", "-u",
                                 "LLMPQ_SLURM", "CUDA_VISIBLE_DEVICES="});
    return run_shell(words);
  }

  Scratch scratch_;
  const std::string prefix_ = scratch_.path("moved/here");

 private:
  const bool made_ = fs::create_directory(scratch_.path("moved"));
};

TEST_F(Install, RunsItsJobsFromWhereItWasMoved) {
  const std::string program = prefix_ + "/bin/llmpq";
  const ShellRun generate =
      run({program, "generate", prefix_ + "/share/llmpq/jobs/greedy.toml", "--rows", "0:3",
           "--output", "out.h5", "--max-tokens", "4", "--threads", "1"});
  ASSERT_EQ(generate.exit_code, 0) << generate.out;
  EXPECT_EQ(read_output(scratch_.path("out.h5")).size(), 3u);
  const ShellRun plan = run({program, "plan", "--cluster", "a100-l4"});
  EXPECT_EQ(plan.exit_code, 0) << plan.out;
}

TEST_F(Install, ItsModuleFindsProgramAndScripts) {
  const std::string module = "/usr/share/modules/init/bash";
  if (!fs::exists(module)) GTEST_SKIP() << "no Environment Modules here (environment-modules)";
  const std::string script = "source " + module + "; module use " + prefix_ +
                             "/share/modulefiles; module load llmpq && command -v llmpq && "
                             "echo \"$LLMPQ_SLURM\" && module unload llmpq && ! command -v llmpq";
  const ShellRun loaded = run({"bash", "-c", script});
  EXPECT_EQ(loaded.exit_code, 0) << loaded.out;
  EXPECT_THAT(loaded.out, HasSubstr(prefix_ + "/bin/llmpq\n" + prefix_ + "/share/llmpq/slurm\n"));
  EXPECT_TRUE(fs::exists(prefix_ + "/share/llmpq/slurm/generate.sbatch"));
}

}  // namespace
}  // namespace llmpq::test
