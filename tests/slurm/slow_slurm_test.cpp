// What takes longer: every script of slurm/, more nodes, the time limit, nodes that are lost, jobs
// that cannot go on. Label slurm_slow.
#include <filesystem>

#include "program/run_program.hpp"
#include "slurm/slurm_case.hpp"

namespace llmpq::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class SlowSlurm : public SlurmCase {
 protected:
  /// A job on a100n1 and a100n2 loses one of them and goes on elsewhere.
  void lose_a_node(const std::string& node) const {
    write_job(40);
    const std::string job = submit("generate.sbatch", {"--nodes=2"});
    wait_for_rows(4, 60);
    slurm().node_down(node);
    EXPECT_EQ(slurm().wait(job, 150), "COMPLETED");
    EXPECT_THAT(log(job), AllOf(HasSubstr("run 1 of job " + job + " on a100n[1-2]"),
                                HasSubstr("run 2 of job"), HasSubstr("going on with")));
    expect_undisturbed();
  }
};

TEST_F(SlowSlurm, ThreeNodesWithTwoRanksEach) {
  write_job(24);
  const std::string job =
      submit("generate.sbatch",
             {"--nodes=3", "--gres=gpu:2", "--ntasks-per-node=2", "--constraint=[a100*2&t4*1]"});
  EXPECT_EQ(slurm().wait(job, 120), "COMPLETED");
  EXPECT_THAT(log(job), AllOf(HasSubstr("on a100n[1-2],t4n1"), HasSubstr("rank 5 t4n1 stage 5")));
  expect_undisturbed();
  // Everything is done: the same job ends at once, and well.
  const std::string again = submit("generate.sbatch", {});
  EXPECT_EQ(slurm().wait(again, 60), "COMPLETED");
  EXPECT_THAT(log(again), HasSubstr("is complete: nothing to do"));
}

TEST_F(SlowSlurm, TheTimeLimitIsMetAgainAndAgain) {
  // Slurm looks at the clock every 30 s and sends the signal up to 60 s early: here at its first
  // look.
  write_job(400);
  const std::string job = submit("generate.sbatch", {"--nodes=2", "--time=1", "--signal=USR1@10"});
  EXPECT_EQ(slurm().wait(job, 1200), "COMPLETED");
  EXPECT_THAT(log(job), AllOf(HasSubstr("back into the queue"), HasSubstr("run 2 of job"),
                              Not(HasSubstr("DUE TO TIME LIMIT"))));
  expect_undisturbed();
}

TEST_F(SlowSlurm, ANodeIsLost) { lose_a_node("a100n2"); }

TEST_F(SlowSlurm, TheNodeOfTheBatchScriptIsLost) { lose_a_node("a100n1"); }

TEST_F(SlowSlurm, AJobThatIsWrongEndsWithItsCodeAndIsNotRequeued) {
  write_job(8);
  const std::string typo = submit("generate.sbatch", {}, {"--temprature", "1"});
  EXPECT_EQ(slurm().wait(typo, 60), "FAILED");
  EXPECT_THAT(log(typo), AllOf(HasSubstr("--temperature"), Not(HasSubstr("llmpq-slurm: run"))));
  const std::string code = slurm().command({"scontrol", "-o", "show", "job", typo});
  EXPECT_THAT(code, AllOf(HasSubstr("ExitCode=2:0"), HasSubstr("Restarts=0")));

  const std::string no_fit = submit("generate.sbatch", {}, {"--memory-limit", "1MiB"});
  EXPECT_EQ(slurm().wait(no_fit, 60), "FAILED");
  EXPECT_THAT(log(no_fit), HasSubstr("exit code 3: another run would end in the same way"));
}

TEST_F(SlowSlurm, ARunWithoutAFinishedRowIsTriedOnceMore) {
  write_job(8);
  const std::string job = submit("generate.sbatch", {});
  // Before a row can be done: the step has just begun.
  for (int run = 1; run <= 2; ++run) {
    const std::string begun = "run " + std::to_string(run) + " of job";
    ASSERT_TRUE(wait_for(60, [&] { return log(job).find(begun) != std::string::npos; }));
    ASSERT_TRUE(wait_for(20, [&] {
      return slurm().state(job) == "RUNNING" &&
             slurm().command({"squeue", "--steps", "--noheader", "--job=" + job}) != "";
    }));
    slurm().command({"scancel", "--signal=KILL", job + ".0"});
  }
  EXPECT_EQ(slurm().wait(job, 60), "FAILED");
  EXPECT_THAT(log(job), HasSubstr("no row was finished in this run: not again"));
}

TEST_F(SlowSlurm, AMixedJobIsOneWorldAndIsRequeuedAsOne) {
  write_job(40);
  const std::string job = submit("mixed.sbatch", {});  // just as it stands
  wait_for_rows(4, 60);
  slurm().command({"scancel", "--batch", "--signal=USR1", job});  // to the script, not to the ranks
  EXPECT_EQ(slurm().wait(job, 120), "COMPLETED");
  EXPECT_THAT(log(job),
              AllOf(HasSubstr(" on a100n1 + v100n1, "), HasSubstr("rank 1 v100n1 stage 1"),
                    HasSubstr("run 2 of job " + job), Not(HasSubstr("not in the order"))));
  expect_undisturbed();
}

TEST_F(SlowSlurm, AMixedJobTakesOptionsByComponent) {
  write_job(16);
  const std::string job =
      submit("mixed.sbatch", {"--nodes=2", "--gres=gpu:a100:2", "--ntasks-per-node=2", ":",
                              "--gres=gpu:t4:1", "--cpus-per-task=2"});
  EXPECT_EQ(slurm().wait(job, 120), "COMPLETED");
  EXPECT_THAT(log(job),
              AllOf(HasSubstr(" on a100n[1-2] + t4n1, "), HasSubstr("rank 4 t4n1 stage 4")));
  expect_undisturbed();
}

TEST_F(SlowSlurm, ComponentsInTheWrongOrderAreToldOf) {
  write_job(8);
  const std::string job = submit("mixed.sbatch", {"--gres=gpu:v100:1", ":", "--gres=gpu:t4:1"});
  slurm().wait(job, 120);
  EXPECT_THAT(log(job),
              HasSubstr("the components' nodes are not in the order of their names: v100n1 t4n1"));
}

TEST_F(SlowSlurm, AnArraysShardsAreRequeuedOneByOneAndJoined) {
  write_job(60);
  const std::string job = submit("array.sbatch", {"--array=0-2"});
  const std::string first = "out.h5.shard-0-of-3";
  wait_for_rows(4, 60, first);
  slurm().command({"scancel", "--signal=USR1", job + "_0"});
  const std::string merge =
      slurm().command({"squeue", "--noheader", "--format=%i", "--name=llmpq-merge-" + job});
  EXPECT_EQ(slurm().wait(merge, 180), "COMPLETED") << text_of(path("llmpq-" + job + ".merge.log"));
  EXPECT_THAT(text_of(path("llmpq-" + job + "_0.log")), HasSubstr("run 2 of job"));
  EXPECT_THAT(text_of(path("llmpq-" + job + "_1.log")), Not(HasSubstr("run 2 of job")));
  expect_undisturbed();
  // What is there is kept, unless the job says otherwise.
  const std::string again = submit("array.sbatch", {"--array=0-1"});
  EXPECT_EQ(slurm().wait(again + "_0", 60), "COMPLETED");
  EXPECT_THAT(text_of(path("llmpq-" + again + "_0.log")),
              HasSubstr("there already: nothing to do"));
  EXPECT_FALSE(std::filesystem::exists(path("out.h5.shard-0-of-2")));
  const std::string anew = submit("array.sbatch", {"--array=0-1"}, {"--overwrite"});
  EXPECT_EQ(slurm().wait(anew + "_0", 180), "COMPLETED");
  const std::string merged = slurm().command(
      {"squeue", "--noheader", "--states=all", "--format=%i", "--name=llmpq-merge-" + anew});
  EXPECT_EQ(slurm().wait(merged, 180), "COMPLETED")
      << text_of(path("llmpq-" + anew + ".merge.log"));
  expect_undisturbed();

  const auto join = [&](std::vector<std::string> shards) {
    std::vector<std::string> words{"convert", "--output", path("joined.h5"), "--input"};
    for (const std::string& shard : shards) words.push_back(path("out.h5.shard-" + shard));
    return run_program(words);
  };
  const ProgramRun gap = join({"0-of-3", "2-of-3"});
  EXPECT_EQ(gap.exit_code, 6);
  EXPECT_THAT(gap.err, HasSubstr("rows 20 to 40 are missing between"));
  const ProgramRun overlap = join({"1-of-2", "1-of-3", "0-of-3"});
  EXPECT_EQ(overlap.exit_code, 6);
  EXPECT_THAT(overlap.err, HasSubstr("rows 30 to 40 are in"));
  EXPECT_FALSE(std::filesystem::exists(path("joined.h5")));
}

TEST_F(SlowSlurm, BenchIsOneRunOnWholeNodes) {
  write_job(8);
  const std::string job = submit("bench.sbatch", {"--nodes=2"},
                                 {"--num-prompts", "8", "--output-len", "4", "--warmup", "0"});
  EXPECT_EQ(slurm().wait(job, 120), "COMPLETED");
  EXPECT_THAT(text_of(path("llmpq-bench-" + job + ".log")),
              AllOf(HasSubstr("on a100n[1-2]"), HasSubstr("tokens/s")));
  EXPECT_FALSE(std::filesystem::exists(path("out.h5")));
}

TEST_F(SlowSlurm, AnArrayWithGapsIsRefused) {
  write_job(8);
  const std::string job = submit("array.sbatch", {"--array=1-2"});
  EXPECT_EQ(slurm().wait(job, 60), "FAILED");
  EXPECT_THAT(text_of(path("llmpq-" + job + "_1.log")), HasSubstr("the array must be 0-N"));
}

}  // namespace
}  // namespace llmpq::test
