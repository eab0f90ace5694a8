// slurm/generate.sbatch in a Slurm of our own: a job is submitted, stopped, put back into the
// queue, goes on on other nodes and ends as if nobody had disturbed it. Label slurm.
#include "slurm/slurm_case.hpp"

namespace llmpq::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

class Slurm : public SlurmCase {};

TEST_F(Slurm, AStoppedJobIsRequeuedAndGoesOnOnOtherNodes) {
  constexpr int64_t kRows = 40;
  write_job(kRows);
  const std::string job = submit("generate.sbatch", {"--nodes=2"});
  wait_for_rows(4, 40);
  const int64_t before = rows_done();
  ASSERT_LT(before, kRows) << "the run ended before it was stopped";
  slurm().command({"scontrol", "update", "NodeName=a100n[1-2]", "State=DRAIN", "Reason=test"});
  slurm().command({"scancel", "--signal=USR1", job});
  EXPECT_EQ(slurm().wait(job, 60), "COMPLETED");
  EXPECT_THAT(log(job), HasSubstr("run 1 of job " + job + " on a100n[1-2]"));
  EXPECT_THAT(log(job), ContainsRegex("exit code 75, [0-9]+ rows done: back into the queue"));
  EXPECT_THAT(log(job), HasSubstr("run 2 of job " + job + " on t4n1,v100n1"));
  EXPECT_THAT(log(job), HasSubstr("going on with"));
  expect_undisturbed();
}

}  // namespace
}  // namespace llmpq::test
