// The program on several hosts: each rank's host is a network namespace with a name, an address and
// a /dev/shm of its own (mpirun.sh), so what is a node's business and what crosses hosts is told
// apart as on a cluster. Label mpi.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/json.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"
#include "program/run_shell.hpp"

namespace llmpq::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Words = std::vector<std::string>;

const std::string kMpirun = std::string(LLMPQ_TEST_DATA) + "/netns/mpirun.sh";

class Hosts : public testing::Test {
 protected:
  void SetUp() override {
    const std::string obstacle = run_shell({kMpirun, "obstacle"}).out;
    if (!obstacle.empty()) GTEST_SKIP() << "no hosts of our own: " << obstacle;
  }

  /// llmpq on so many ranks of each of so many hosts; `environment` reaches all of them.
  ShellRun run(int hosts, int ranks, const Words& words, const Words& environment = {}) const {
    Words all{"env", "OMPI_MCA_orte_base_help_aggregate=0"};
    all.insert(all.end(), environment.begin(), environment.end());
    all.insert(all.end(), {kMpirun, std::to_string(hosts), std::to_string(ranks)});
    for (const std::string& setting : environment)
      all.insert(all.end(), {"-x", setting.substr(0, setting.find('='))});
    all.push_back(LLMPQ_PROGRAM);
    all.insert(all.end(), words.begin(), words.end());
    return run_shell(all);
  }

  Words job(const std::string& output) const {
    return {"generate",
            "--model",
            kTiny,
            "--prompts",
            std::string(LLMPQ_DATA) + "/prompts.h5",
            "--rows",
            "0:12",
            "--output",
            scratch_.path(output),
            "--max-tokens",
            "16",
            "--format",
            "w8",
            "--logprobs",
            "2",
            "--strategy",  // a stage on every rank
            "uniform"};
  }

  Scratch scratch_;
};

TEST_F(Hosts, TheSameRowsAsOnOneHost) {
  const ShellRun three = run(3, 2, job("three.h5"));
  ASSERT_EQ(three.exit_code, 0) << three.out;
  EXPECT_THAT(three.out, AllOf(HasSubstr("rank 1 h1 stage 1"), HasSubstr("rank 2 h2 stage 2"),
                               HasSubstr("rank 5 h3 stage 5")));
  ASSERT_EQ(run_program(job("one.h5")).exit_code, 0);
  EXPECT_EQ(read_output(scratch_.path("three.h5")), read_output(scratch_.path("one.h5")));
}

/// The one line of `out` that is a JSON object.
nlohmann::json json_in(const std::string& out) {
  const size_t begin = out.find("{\"");
  return parse_json(out.substr(begin, out.find('\n', begin) - begin), "check --json", Exit::kUsage);
}

TEST_F(Hosts, EachHasMemoryAndGpusOfItsOwn) {
  const Words gpus{"LLMPQ_CUDA_MODULE=" + std::string(LLMPQ_FAKE_CUDA), "FAKE_GPUS=2",
                   "FAKE_GPU_HOSTS=1"};
  const ShellRun check = run(2, 2, {"check", "--json", "--backend", "cpu,cuda,cpu,cuda"}, gpus);
  ASSERT_EQ(check.exit_code, 0) << check.out;
  const auto ranks = json_in(check.out)["ranks"];
  ASSERT_EQ(ranks.size(), 4u);
  for (int rank = 0; rank < 4; ++rank) {
    const auto& told = ranks[static_cast<size_t>(rank)];
    const std::string host = rank < 2 ? "h1" : "h2";
    EXPECT_EQ(told["host"], host);
    EXPECT_EQ(told["node_rank"], rank % 2);
    if (rank % 2 == 1) {
      EXPECT_EQ(told["gpu"]["uuid"], "GPU-00000000-" + host) << "the first of its host";
    } else {
      // Two ranks divide their host's memory, not four.
      const double share = told["usable_bytes"].get<double>() / told["free_bytes"].get<double>();
      EXPECT_NEAR(share, 0.9 / 2, 0.01);
    }
  }
}

TEST_F(Hosts, OneGpuSeenFromTwoHostsIsFoundByItsUuid) {
  const Words gpus{"LLMPQ_CUDA_MODULE=" + std::string(LLMPQ_FAKE_CUDA), "FAKE_GPUS=1"};
  const ShellRun refused = run(2, 1, {"plan", "--model", kTiny}, gpus);
  EXPECT_EQ(refused.exit_code, 7);
  EXPECT_THAT(refused.out,
              HasSubstr("llmpq: error: ranks 0 and 1 on h1 and h2 would compute on one GPU"));
}

/// When a rank computed each step, in microseconds of a Chrome trace.
struct Span {
  double begin_us = 0, end_us = 0;
};
std::map<int64_t, Span> steps_of(int rank, const nlohmann::json& trace) {
  std::map<int64_t, Span> spans;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("pid") != rank || event.at("ph") != "X" || event.at("tid") != 0) continue;
    if (event.at("cat") != "prefill" && event.at("cat") != "decode") continue;
    const double begin_us = event.at("ts");
    spans[event.at("args").at("step")] = {begin_us, begin_us + event.at("dur").get<double>()};
  }
  return spans;
}

/// The number after `words`.
double number_after(const std::string& words, const std::string& text) {
  const size_t at = text.find(words);
  EXPECT_NE(at, std::string::npos) << words << " not in " << text;
  return at == std::string::npos ? 0 : std::stod(text.substr(at + words.size()));
}

/// The steady clocks count from another moment on each host. In the trace they are one: rank 1
/// computes a step soon after rank 0. And nothing else in the program compares two hosts' clocks.
TEST_F(Hosts, EventsOfAllHostsAreOnOneClock) {
  if (run_shell({"unshare", "--time", "--fork", "--monotonic", "1", "true"}).exit_code != 0)
    GTEST_SKIP() << "no clocks of our own: no time namespaces here";
  Words words = job("out.h5");
  words.insert(words.end(), {"--trace", scratch_.path("trace.json")});
  const ShellRun two = run(2, 1, words, {"LLMPQ_CLOCK_APART_S=1000"});
  ASSERT_EQ(two.exit_code, 0) << two.out;
  const double error_us = number_after("the clocks of the hosts agree within ", two.out);
  EXPECT_LT(error_us, 1e6);
  ASSERT_EQ(run_program(job("one.h5")).exit_code, 0);
  EXPECT_EQ(read_output(scratch_.path("out.h5")), read_output(scratch_.path("one.h5")));

  const auto trace = parse_json(read_file(scratch_.path("trace.json"), 1 << 26, Exit::kOutput),
                                "the trace", Exit::kOutput);
  const auto first = steps_of(0, trace), second = steps_of(1, trace);
  ASSERT_GT(first.size(), 10u);
  for (const auto& [step, span] : first) {
    ASSERT_TRUE(second.count(step)) << step;
    EXPECT_GE(second.at(step).begin_us, span.end_us - error_us) << step;
    EXPECT_LT(second.at(step).begin_us, span.end_us + 5e6) << step;
  }
}

class EvalOnHosts : public Hosts {
 protected:
  EvalOnHosts() {
    std::string text(2000, ' ');
    std::ifstream(kTiny + "/heldout.txt").read(text.data(), std::ssize(text));
    std::ofstream(scratch_.path("text.txt")) << text;
  }
  Words eval(const Words& more) const {
    Words words{"eval",     "--model", kTiny,    "--text",   scratch_.path("text.txt"),
                "--window", "128",     "--json", "--format", "w4"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  /// A plan of two stages with the first on rank 1 and the second on rank 0.
  std::string turned_plan() const {
    const std::string file = scratch_.path("plan.json");
    EXPECT_EQ(run_program(eval({"--layers-per-stage", "5,3", "--save-plan", file}), 2).exit_code,
              0);
    auto plan = parse_json(read_file(file, 1 << 20, Exit::kInternal), file, Exit::kInternal);
    auto& stages = plan["pipelines"][0]["stages"];
    std::swap(stages[0]["ranks"], stages[1]["ranks"]);
    std::ofstream(file) << plan;
    return file;
  }
  /// llmpq on a rank of each of two hosts, started by a line for the shell that begins so.
  static ShellRun run_with(const std::string& begin, const Words& words) {
    std::string line = begin + " exec " + LLMPQ_PROGRAM;
    for (const std::string& word : words) line += " " + word;
    return run_shell({kMpirun, "2", "1", "sh", "-c", line});
  }
};

/// The logits wait on the host of the unquantized model's last stage, h2, and go to that of the
/// judged plan's, h1: neither sees the other's files.
TEST_F(EvalOnHosts, ComparesLogitsWhereTheyAreMade) {
  const ProgramRun one = run_program(eval({"--divergence"}));
  ASSERT_EQ(one.exit_code, 0) << one.err;
  const ShellRun two = run_with("TMPDIR=/dev/shm", eval({"--divergence", "--plan", turned_plan()}));
  ASSERT_EQ(two.exit_code, 0) << two.out;
  EXPECT_THAT(two.out, HasSubstr("rank 1 h2 the unquantized model first: its logits wait in "
                                 "/dev/shm"));
  EXPECT_EQ(json_in(two.out), json_in(one.out));
  EXPECT_GT(json_in(two.out)["divergence"]["mean"], 1e-4);
}

/// The folder is another one on each host: the sentence says whose it is.
TEST_F(EvalOnHosts, SaysWhoseDiskHasNoRoomForTheLogits) {
  const ShellRun got = run_with(
      "mkdir /dev/shm/small && mount -t tmpfs -o size=1m tmpfs /dev/shm/small && "
      "TMPDIR=/dev/shm/small",
      eval({"--divergence", "--layers-per-stage", "5,3"}));
  EXPECT_EQ(got.exit_code, 6) << got.out;
  EXPECT_THAT(got.out, testing::ContainsRegex("rank 1 on h2: the unquantized model's logits take "
                                              "[0-9.]+ MiB in /dev/shm/small, which has 1.0 MiB"));
}

using SlowHosts = Hosts;

TEST_F(SlowHosts, ALostLinkEndsTheJobWithItsCode) {
  Words words = job("out.h5");
  words.insert(words.end(), {"--rows", "0:400", "--isa", "plain", "--timeout", "4"});
  const ShellRun cut =
      run(2, 1, words,
          {"LLMPQ_CUT_HOST=h2", "LLMPQ_CUT_S=7", "LLMPQ_CUT_FILE=" + scratch_.path("out.h5.part")});
  EXPECT_EQ(cut.exit_code, 8) << cut.out;
  EXPECT_THAT(cut.out, AllOf(HasSubstr("llmpq: error: rank "), HasSubstr("--timeout")));
  // Nothing is lost that was done.
  const ProgramRun rest = run_program([&] {
    Words resumed = job("out.h5");
    resumed.insert(resumed.end(), {"--rows", "0:400", "--resume"});
    return resumed;
  }());
  EXPECT_EQ(rest.exit_code, 0) << rest.err;
}

}  // namespace
}  // namespace llmpq::test
