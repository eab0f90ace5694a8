// llmpq eval as a user runs it: perplexity, divergence and accuracy against transformers, on any
// number of ranks, under the plan that generate would run; and sentences for what cannot be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/json.hpp"
#include "input/tasks.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"
#include "program/run_shell.hpp"

namespace llmpq::test {
namespace {

using Flags = std::vector<std::string>;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

std::string content(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class Eval : public testing::Test {
 protected:
  ProgramRun run(const Flags& more, int ranks = 0) const {
    Flags words{"eval", "--model", kTiny, "--threads", "1", "--log-level", "error"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, ranks);
  }
  json figures(Flags more, int ranks = 0) const {
    more.emplace_back("--json");
    const ProgramRun got = run(more, ranks);
    EXPECT_EQ(got.exit_code, 0) << got.err;
    return got.exit_code == 0 ? parse_json(got.out, "stdout", Exit::kInternal) : json();
  }
  /// The first bytes of the held-out text.
  std::string text(size_t bytes) const {
    const std::string path = scratch_.path("text.txt");
    std::ofstream(path) << content(kTiny + "/heldout.txt").substr(0, bytes);
    return path;
  }
  /// The bundled tasks, every `stride`-th of them.
  std::string tasks(int stride) const {
    const std::string path = scratch_.path("tasks.jsonl");
    std::ifstream all(kTiny + "/tasks.jsonl");
    std::ofstream some(path);
    std::string line;
    for (int i = 0; std::getline(all, line); ++i)
      if (i % stride == 0) some << line << "\n";
    return path;
  }

  Scratch scratch_;
};

/// fixtures/eval.json has the script that made it. Integers of 4 and 3 bits are exact on both
/// sides, f32 sums are in another order.
TEST_F(Eval, FindsWhatTransformersFinds) {
  const json fixture =
      parse_json(content(std::string(LLMPQ_TEST_DATA) + "/program/fixtures/eval.json"), "fixture",
                 Exit::kInternal);
  const Flags common{"--text",   text(fixture["bytes"]),   "--window",     fixture["window"].dump(),
                     "--stride", fixture["stride"].dump(), "--divergence", "--activation-dtype",
                     "f32",      "--kv-cache-dtype",       "f32"};
  ASSERT_EQ(fixture["plans"].size(), 3u);
  for (const auto& [name, want] : fixture["plans"].items()) {
    SCOPED_TRACE(name);
    Flags flags = common;
    flags.insert(flags.end(), {"--format", want["formats"].get<std::string>()});
    const json got = figures(flags), &divergence = got["divergence"];
    EXPECT_EQ(got["tokens"], want["tokens"]);
    EXPECT_NEAR(got["perplexity"], want["perplexity"].get<double>(), 1e-5);
    EXPECT_NEAR(got["standard_error"], want["standard_error"].get<double>(), 1e-5);
    EXPECT_NEAR(divergence["mean"], want["divergence"].get<double>(), 1e-6);
    EXPECT_NEAR(divergence["standard_error"], want["divergence_error"].get<double>(), 1e-6);
    EXPECT_NEAR(divergence["same_top"], want["same_top"].get<double>(), 1e-3);
    EXPECT_NEAR(divergence["same_top_standard_error"], want["same_top_error"].get<double>(), 1e-3);
    if (name == "bf16") {
      EXPECT_EQ(divergence["mean"], 0);
      EXPECT_EQ(divergence["same_top"], 1);
      EXPECT_EQ(divergence["perplexity_increase"], 0);
    }
    if (name != "mixed") continue;
    flags.insert(flags.end(), {"--prefill-tokens", "37", "--layers-per-stage", "1,4,3"});
    EXPECT_EQ(figures(flags, 3), got);
  }
}

/// The sizes of windows do not divide by the chunks, and the chunks are smaller than a window.
TEST_F(Eval, UnquantizedIsItsOwnReference) {
  const json got =
      figures({"--text", text(3000), "--window", "100", "--divergence", "--decode-batch", "24"}, 2);
  EXPECT_EQ(got["divergence"]["mean"], 0);
  EXPECT_EQ(got["divergence"]["standard_error"], 0);
  EXPECT_EQ(got["divergence"]["same_top"], 1);
  EXPECT_EQ(got["divergence"]["reference_perplexity"], got["perplexity"]);
}

/// The unquantized model's last stage is on rank 2, the judged plan's on rank 0, which the logits
/// are sent to; with two threads, which share the rows.
TEST_F(Eval, TheLastStagesOfTheTwoModelsMayBeOnDifferentRanks) {
  const Flags common{"--text", text(3000), "--window", "128"};
  Flags flags = common, planning = common, judging = common;
  flags.insert(flags.end(), {"--divergence", "--format", "w4", "--threads", "2"});
  const json wanted = figures(flags);
  EXPECT_GT(wanted["divergence"]["mean"], 1e-4);
  const std::string file = scratch_.path("plan.json");
  planning.insert(planning.end(),
                  {"--format", "w4", "--layers-per-stage", "1,4,3", "--save-plan", file});
  ASSERT_EQ(run(planning, 3).exit_code, 0);
  json plan = parse_json(content(file), file, Exit::kInternal);
  json& stages = plan["pipelines"][0]["stages"];
  ASSERT_EQ(stages.size(), 3u);
  ASSERT_EQ(stages[2]["ranks"], json({2}));
  std::swap(stages[0]["ranks"], stages[2]["ranks"]);
  std::ofstream(file) << plan;
  judging.insert(judging.end(), {"--divergence", "--plan", file});
  EXPECT_EQ(figures(judging, 3), wanted);
}

/// A disk that is full in the middle of the run, here a limit on the size of rank 1's files.
TEST_F(Eval, SaysWhoseDiskIsFull) {
  const std::string eval = std::string(LLMPQ_PROGRAM) + " eval --model " + kTiny + " --text " +
                           text(2000) + " --window 64 --divergence --format w4 --threads 1";
  const ShellRun got =
      run_shell({"env", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "mpirun",
                 "--oversubscribe", "-n", "1", "sh", "-c", "exec " + eval, ":", "-n", "1", "bash",
                 "-c", "trap '' XFSZ; ulimit -f 2000; exec " + eval});
  EXPECT_EQ(got.exit_code, 6) << got.out;
  EXPECT_THAT(got.out, testing::ContainsRegex("rank 1 on [^ ]+: stage 1, step [0-9]+: the "
                                              "unquantized model's logits in [^ ]+: File too "
                                              "large"));
}

/// A cache in 8 bits costs a little, the same on any number of ranks; what it is compared with has
/// its cache in 16 bits.
TEST_F(Eval, JudgesTheKvCacheToo) {
  const Flags flags{"--text",   text(3000), "--window",         "128", "--divergence",
                    "--format", "bf16",     "--kv-cache-dtype", "int8"};
  const json got = figures(flags);
  EXPECT_GT(got["divergence"]["mean"], 1e-6);
  EXPECT_LT(got["divergence"]["mean"], 1e-3);
  EXPECT_NE(got["divergence"]["reference_perplexity"], got["perplexity"]);
  EXPECT_EQ(figures(flags, 3), got);
}

TEST_F(Eval, SolvesTheTasksThatGenerateSolves) {
  const std::string file = tasks(25), prompts = scratch_.path("p.h5"), out = scratch_.path("o.h5");
  const auto all = read_tasks(file, false);
  std::vector<std::string> texts;
  for (const Task& task : all) texts.push_back(task.prompt);
  write_prompts(prompts, texts);
  ASSERT_EQ(
      run_program({"generate", "--model", kTiny, "--prompts", prompts, "--output", out, "--format",
                   "w4", "--temperature", "0", "--max-tokens", "24", "--stop", "\n"})
          .exit_code,
      0);
  const auto rows = read_output(out);
  int solved = 0;
  for (size_t i = 0; i < all.size(); ++i) solved += is_solved(all[i], rows[i].text);
  ASSERT_GT(solved, 10);
  ASSERT_LT(solved, 32);
  const Flags flags{"--tasks", file, "--max-tokens", "24", "--format", "w4"};
  const json one = figures(flags), &accuracy = one["accuracy"];
  EXPECT_EQ(accuracy["tasks"], 32);
  EXPECT_EQ(accuracy["solved"], solved);
  EXPECT_LT(accuracy["low"], accuracy["share"]);
  EXPECT_GT(accuracy["high"], accuracy["share"]);
  EXPECT_EQ(accuracy["kinds"]["sum"]["tasks"], 4);
  EXPECT_FALSE(one.contains("perplexity"));
  Flags both = flags;
  both.insert(both.end(), {"--text", text(1500), "--window", "64"});
  const json three = figures(both, 3);
  EXPECT_EQ(three["accuracy"], accuracy);
  EXPECT_TRUE(three.contains("perplexity"));
}

TEST_F(Eval, ATaskThatCannotRunIsToldAndNotSolved) {
  const std::string file = scratch_.path("tasks.jsonl");
  std::ofstream(file) << R"({"prompt": "Question: what is 16 plus 19?\nAnswer:", "answer": "35"})"
                      << "\n{\"prompt\": \"" << std::string(900, '7') << "\", \"answer\": \"8\"}\n";
  const ProgramRun got = run({"--tasks", file, "--max-model-len", "100", "--log-level", "warning"});
  ASSERT_EQ(got.exit_code, 0) << got.err;
  EXPECT_THAT(got.err, HasSubstr("task 1: the prompt has"));
  EXPECT_THAT(got.out, testing::ContainsRegex("all +2 +1 +50.0% .* 1\n"));
}

/// The plan that is judged is the one that generate would make of the job, where little memory
/// leaves no 16 bits.
TEST_F(Eval, JudgesTheJobsOwnPlan) {
  write_prompts(scratch_.path("p.h5"), bundled_prompts(0, 8));
  const std::string job = scratch_.path("job.toml");
  std::ofstream(job) << "model = '" << kTiny << "'\nprompts = 'p.h5'\noutput = 'o.h5'\n"
                     << "max-tokens = 20\nmemory-limit = '4MiB'\nthreads = 1\n";
  const auto plan_of = [&](Flags words, const std::string& name) {
    words.insert(words.end(), {job, "--save-plan", scratch_.path(name)});
    const ProgramRun got = run_program(words, 2);
    EXPECT_EQ(got.exit_code, 0) << got.err;
    return content(scratch_.path(name));
  };
  const std::string planned = plan_of({"plan"}, "planned.json");
  EXPECT_THAT(planned, Not(HasSubstr("bf16\",\"bf16")));
  EXPECT_EQ(plan_of({"eval", "--text", text(1000), "--window", "40"}, "judged.json"), planned);
}

TEST_F(Eval, SaysWhatCannotBe) {
  const auto expect = [&](const Flags& flags, int code, const std::string& sentence) {
    const ProgramRun got = run(flags);
    EXPECT_EQ(got.exit_code, code) << got.err;
    EXPECT_THAT(got.err, HasSubstr(sentence));
    EXPECT_EQ(got.out, "");
  };
  const std::string file = text(600), none = scratch_.path("none");
  expect({}, 2, "eval needs --text FILE or --tasks FILE");
  expect({"--tasks", tasks(100), "--divergence"}, 2, "give --text FILE too");
  expect({"--text", file, "--window", "40", "--stride", "40"}, 2, "--stride 40: want 1 to 39");
  expect({"--text", file, "--average-bits", "6"}, 2, "average-bits trades quality for the speed");
  expect({"--text", none}, 5, none);
  expect({"--tasks", none}, 5, none);
  expect({"--text", file, "--window", "64", "--memory-limit", "5MiB", "--prefill-tokens", "16",
          "--format", "w3", "--divergence"},
         3, "--divergence runs the unquantized model first, and that does not fit");
  expect({"--model", std::string(LLMPQ_TEST_DATA) + "/layer/fixtures_stored/gptq_4_bits", "--text",
          file, "--divergence"},
         2, "its weights are quantized already");
  std::ofstream(scratch_.path("broken.jsonl")) << "{\"prompt\": \"p\"}\n";
  expect({"--tasks", scratch_.path("broken.jsonl")}, 5, "broken.jsonl:1: want a text \"answer\"");
}

}  // namespace
}  // namespace llmpq::test
