// What the scripts of slurm/ do by themselves, without a Slurm: where they find llmpq, and which
// cores bind.sh gives to a task. Label slurm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "output/journal.hpp"
#include "output/rows.hpp"
#include "slurm/cluster.hpp"

namespace llmpq::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Words = std::vector<std::string>;

const std::string kSlurm = std::string(LLMPQ_ROOT) + "/slurm";

class FindProgram : public testing::Test {
 protected:
  void make_program(const std::string& name) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << "#!/bin/sh\n";
    fs::permissions(folder_ / name, fs::perms::owner_all);
  }

  void copy_scripts(const std::string& to) const {
    fs::create_directories((folder_ / to).parent_path());
    fs::copy(kSlurm, folder_ / to);
  }

  /// What common.sh in `scripts` finds, with `path` before the system's programs on PATH.
  ShellRun find(const std::string& scripts, const std::string& path, const Words& environment) {
    Words words{"env", "-u", "LLMPQ", "PATH=" + (folder_ / path).string() + ":/usr/bin:/bin"};
    words.insert(words.end(), environment.begin(), environment.end());
    words.insert(words.end(), {"bash", "-c", "source \"$0\" && find_program && echo \"$llmpq\"",
                               (folder_ / scripts / "common.sh").string()});
    return run_shell(words);
  }

  std::string full(const std::string& name) const {
    return fs::canonical(folder_ / name).string() + "\n";
  }

  TempFolder folder_;
};

TEST_F(FindProgram, BesideTheScriptsOfABuildTree) {
  copy_scripts("repo/slurm");
  make_program("repo/build/src/llmpq");
  make_program("bin/llmpq");
  EXPECT_EQ(find("repo/slurm", "bin", {}).out, full("repo/build/src/llmpq"));
}

TEST_F(FindProgram, BesideTheScriptsOfAnInstallation) {
  const std::string prefix = (folder_ / "prefix").string();
  const ShellRun install = run_shell({"cmake", "--install", LLMPQ_BUILD, "--prefix", prefix});
  ASSERT_EQ(install.exit_code, 0) << install.out;
  EXPECT_EQ(find("prefix/share/llmpq/slurm", "none", {}).out, full("prefix/bin/llmpq"));
  EXPECT_TRUE(fs::exists(folder_ / "prefix/share/llmpq/data/clusters"));
}

TEST_F(FindProgram, TheVariableBeatsAllAndPathComesLast) {
  copy_scripts("slurm");
  make_program("bin/llmpq");
  make_program("mine");
  EXPECT_EQ(find("slurm", "bin", {}).out, full("bin/llmpq"));
  EXPECT_EQ(find("slurm", "bin", {"LLMPQ=" + (folder_ / "mine").string()}).out, full("mine"));
}

TEST_F(FindProgram, OneThatIsNotThereIsSaid) {
  copy_scripts("slurm");
  const ShellRun none = find("slurm", "none", {});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.out, HasSubstr("there is no llmpq near"));
  make_program("bin/llmpq");
  const ShellRun wrong = find("slurm", "bin", {"LLMPQ=/no/llmpq"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.out, HasSubstr("LLMPQ=/no/llmpq is no program on"));
}

/// What a command of common.sh says of a job, with the built program.
std::string said(const std::string& command, const std::string& job, const Words& flags = {}) {
  Words words{"bash", "-c",          "source \"$0/common.sh\"; llmpq=$1; shift; \"$@\"",
              kSlurm, LLMPQ_PROGRAM, command,
              job};
  words.insert(words.end(), flags.begin(), flags.end());
  const ShellRun run = run_shell(words);
  return run.out + (run.exit_code == 0 ? "" : "exit code " + std::to_string(run.exit_code));
}

TEST(CommonScript, SeesTheRowsThatAreDoneWhereALinkLeads) {
  const TempFolder folder;
  fs::create_directory(folder / "far");
  fs::create_symlink("far/out.h5", folder / "out.h5");
  const std::string job = (folder / "job.toml").string();
  std::ofstream(job) << "model = \"m\"\nprompts = \"p.h5\"\noutput = \"out.h5\"\n";
  EXPECT_EQ(said("rows_done", job), "0\n");
  auto journal = Journal::create(folder / "out.h5", sample_head(0, 9));
  for (const int64_t row : {2, 3, 5}) journal->add(sample_row(row, 0));
  journal->commit();
  journal.reset();
  EXPECT_EQ(said("rows_done", job), "3\n");
}

TEST(CommonScript, KnowsWhetherAJobOverwrites) {
  const TempFolder folder;
  const std::string job = (folder / "job.toml").string();
  std::ofstream(job) << "model = \"m\"\nprompts = \"p.h5\"\noutput = \"out.h5\"\n";
  EXPECT_EQ(said("overwrites", job), "exit code 1");
  EXPECT_EQ(said("overwrites", job, {"--overwrite"}), "");
}

/// A task of a step on two nodes, with one task on the first and two on the second.
ShellRun bound(int node, int local_id, const Words& environment, const std::string& command) {
  Words words{"env",
              "-u",
              "CUDA_VISIBLE_DEVICES",
              "SLURM_STEP_TASKS_PER_NODE=1,2",
              "SLURM_NODEID=" + std::to_string(node),
              "SLURM_LOCALID=" + std::to_string(local_id)};
  words.insert(words.end(), environment.begin(), environment.end());
  words.insert(words.end(), {kSlurm + "/bind.sh", "sh", "-c", command});
  return run_shell(words);
}

/// The CPUs that such a task may run on.
std::set<int> cpus_of(int node, int local_id, const Words& environment = {}) {
  const ShellRun run = bound(node, local_id, environment,
                             "taskset --cpu-list --pid $$ | sed 's/.*: //' | tail -n 1");
  EXPECT_EQ(run.exit_code, 0) << run.out;
  std::istringstream list(run.out.substr(run.out.rfind('\n', run.out.size() - 2) + 1));
  std::set<int> cpus;
  for (std::string part; std::getline(list, part, ',');) {
    const size_t dash = part.find('-');
    const int first = std::stoi(part),
              last = dash == std::string::npos ? first : std::stoi(part.substr(dash + 1));
    for (int cpu = first; cpu <= last; ++cpu) cpus.insert(cpu);
  }
  return cpus;
}

TEST(BindScript, TasksOfANodeGetCoresOfTheirOwn) {
  const std::set<int> all = cpus_of(0, 0);
  if (all.size() < 2) GTEST_SKIP() << "there is one CPU here";
  const std::set<int> first = cpus_of(1, 0), second = cpus_of(1, 1);
  EXPECT_EQ(first.size(), all.size() / 2);
  EXPECT_EQ(first.size() + second.size(), all.size());
  std::set<int> both = first;
  both.insert(second.begin(), second.end());
  EXPECT_EQ(both, all);
}

TEST(BindScript, WhatSlurmOrLlmpqBindsIsLeftAlone) {
  const std::set<int> all = cpus_of(0, 0);
  EXPECT_EQ(cpus_of(1, 1, {"SLURM_CPU_BIND_LIST=0x3"}), all);
  EXPECT_EQ(cpus_of(1, 1, {"CUDA_VISIBLE_DEVICES=0,1"}), all);
}

TEST(BindScript, ATaskMaySeeOneGpuOnly) {
  const std::string show = "echo $CUDA_VISIBLE_DEVICES";
  EXPECT_EQ(bound(1, 1, {"CUDA_VISIBLE_DEVICES=4,6"}, show).out, "4,6\n");
  EXPECT_EQ(bound(1, 1, {"CUDA_VISIBLE_DEVICES=4,6", "LLMPQ_ONE_GPU=1"}, show).out, "6\n");
  EXPECT_EQ(bound(1, 0, {"CUDA_VISIBLE_DEVICES=4,6", "LLMPQ_ONE_GPU=1"}, show).out, "4\n");
}

TEST(BindScript, TheCommandsExitCodeIsKept) {
  EXPECT_EQ(bound(1, 1, {}, "exit 75").exit_code, 75);
  EXPECT_EQ(run_shell({"env", "-u", "SLURM_LOCALID", kSlurm + "/bind.sh", "sh", "-c", "exit 6"})
                .exit_code,
            6);
}

}  // namespace
}  // namespace llmpq::test
