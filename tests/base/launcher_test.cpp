#include "base/launcher.hpp"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>

namespace llmpq {
namespace {

TEST(Launcher, ReadsSqueuesTimeLeft) {
  EXPECT_EQ(parse_time_left("4\n"), 4);
  EXPECT_EQ(parse_time_left("03:04"), 184);
  EXPECT_EQ(parse_time_left("2:03:04\n"), 7384);
  EXPECT_EQ(parse_time_left("1-02:03:04"), 93784);
  for (const char* text : {"", "UNLIMITED\n", "INVALID", "slurm_load_jobs error"})
    EXPECT_EQ(parse_time_left(text), std::nullopt) << text;
}

TEST(Launcher, KnowsAnMpirunByItsName) {
  const pid_t own = ::getpid();
  EXPECT_FALSE(is_mpirun(own));
  EXPECT_FALSE(is_mpirun(0));
  ::prctl(PR_SET_NAME, "orted");
  EXPECT_TRUE(is_mpirun(own));
  ::prctl(PR_SET_NAME, "tests_base");
}

/// Without Slurm's variables before and after each test.
class SlurmVariables : public testing::Test {
 protected:
  SlurmVariables() { clear(); }
  ~SlurmVariables() override { clear(); }
  static void set(const char* name, const char* value) { ::setenv(name, value, 1); }
  static void clear() {
    for (const char* name : {"SLURM_JOB_ID", "SLURM_JOB_END_TIME", "SLURM_ARRAY_JOB_ID",
                             "SLURM_ARRAY_TASK_ID", "SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU",
                             "SLURM_CPUS_ON_NODE", "SLURM_MEM_PER_GPU", "SLURM_GPUS_ON_NODE"})
      ::unsetenv(name);
  }
};

TEST_F(SlurmVariables, TheEnvironmentBeatsSqueue) {
  EXPECT_EQ(slurm_end_s(), std::nullopt);
  set("SLURM_JOB_ID", "7");
  set("SLURM_JOB_END_TIME", "1800000000");
  EXPECT_EQ(slurm_end_s(), 1.8e9);
}

TEST_F(SlurmVariables, ATaskOfAnArrayHasANameOfItsOwn) {
  EXPECT_EQ(slurm_job_name(), "");
  set("SLURM_JOB_ID", "71");
  EXPECT_EQ(slurm_job_name(), "71");
  set("SLURM_ARRAY_JOB_ID", "71");
  set("SLURM_ARRAY_TASK_ID", "3");
  EXPECT_EQ(slurm_job_name(), "71_3");
}

TEST_F(SlurmVariables, MemoryIsGivenByNodeByCpuOrByGpu) {
  EXPECT_EQ(slurm_node_memory(), std::nullopt);
  set("SLURM_MEM_PER_NODE", "3");
  EXPECT_EQ(slurm_node_memory(), 3 << 20);
  set("SLURM_MEM_PER_NODE", "0");  // all that the node has
  EXPECT_EQ(slurm_node_memory(), std::nullopt);
  set("SLURM_MEM_PER_CPU", "5");
  set("SLURM_CPUS_ON_NODE", "4");
  EXPECT_EQ(slurm_node_memory(), 20 << 20);
  clear();
  set("SLURM_MEM_PER_GPU", "7");
  set("SLURM_GPUS_ON_NODE", "2");
  EXPECT_EQ(slurm_node_memory(), 14 << 20);
}

}  // namespace
}  // namespace llmpq
