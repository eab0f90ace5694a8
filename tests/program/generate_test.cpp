// The main job as a user sees it: sampling options, plans in and out, resume after a kill, the
// timeline, and what eval says on any number of ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/json.hpp"
#include "input/tokenizer.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Flags = std::vector<std::string>;

class Generate : public testing::Test {
 protected:
  Flags job(const std::string& output, const Flags& more = {}) const {
    Flags words{"generate",
                "--model",
                kTiny,
                "--prompts",
                scratch_.path("prompts.h5"),
                "--output",
                scratch_.path(output),
                "--max-tokens",
                "16"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  std::vector<OutputRow> run(const std::string& output, const Flags& more = {}, int ranks = 2) {
    const ProgramRun run = run_program(job(output, more), ranks);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run.exit_code == 0 ? read_output(scratch_.path(output)) : std::vector<OutputRow>{};
  }

  std::string text_of(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(scratch_.path(name)).rdbuf();
    return text.str();
  }

  Scratch scratch_;
};

TEST_F(Generate, SeveralSamplesOfAPromptDifferAndKeepTheirPlaces) {
  write_prompts(scratch_.path("prompts.h5"), bundled_prompts(0, 3));
  const auto rows = run("out.h5", {"--num-samples", "4", "--temperature", "1.5"});
  ASSERT_EQ(rows.size(), 12u);
  for (size_t prompt = 0; prompt < 3; ++prompt) {
    std::set<std::vector<int32_t>> texts;
    for (size_t sample = 0; sample < 4; ++sample) {
      EXPECT_EQ(rows[4 * prompt + sample].prompt_tokens, rows[4 * prompt].prompt_tokens);
      texts.insert(rows[4 * prompt + sample].token_ids);
    }
    EXPECT_GT(texts.size(), 1u);
  }
  const auto one = run("one.h5", {"--temperature", "1.5"});
  ASSERT_EQ(one.size(), 3u);
  EXPECT_EQ(one[1], rows[4]) << "sample 0 does not depend on how many there are";
}

TEST_F(Generate, ColumnsOfTheRowBeatTheJob) {
  const auto prompts = bundled_prompts(0, 2);
  write_prompts(scratch_.path("prompts.h5"), {prompts[0], prompts[0], prompts[0]},
                {.seed = {5, 5, 6}, .max_tokens = {3, -1, 7}});
  const auto rows = run("out.h5", {"--ignore-eos", "--temperature", "2"});
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].completion_tokens, 3);
  EXPECT_EQ(rows[1].completion_tokens, 16);
  EXPECT_EQ(rows[2].completion_tokens, 7);
  EXPECT_TRUE(
      std::equal(rows[0].token_ids.begin(), rows[0].token_ids.end(), rows[1].token_ids.begin()))
      << "the same seed";
  EXPECT_FALSE(
      std::equal(rows[2].token_ids.begin(), rows[2].token_ids.end(), rows[1].token_ids.begin()))
      << "another seed";
}

TEST_F(Generate, StopStringsEndTheTextBeforeThem) {
  write_prompts(scratch_.path("prompts.h5"), bundled_prompts(0, 8));
  const auto free = run("free.h5", {"--temperature", "0", "--ignore-eos"});
  const auto stopped = run("out.h5", {"--temperature", "0", "--ignore-eos", "--stop", "e"});
  ASSERT_EQ(stopped.size(), free.size());
  int stops = 0;
  for (size_t i = 0; i < free.size(); ++i) {
    const size_t at = free[i].text.find('e');
    EXPECT_EQ(stopped[i].text, free[i].text.substr(0, at));
    EXPECT_EQ(stopped[i].stop_reason, at == std::string::npos ? "" : "e");
    stops += at != std::string::npos;
  }
  EXPECT_GT(stops, 0);
}

TEST_F(Generate, TextIsTheTokenizersDecodeOfTheTokens) {
  write_prompts(scratch_.path("prompts.h5"), bundled_prompts(40, 12));
  const Tokenizer tokenizer = Tokenizer::load(std::string(LLMPQ_DATA) + "/tiny/tokenizer.json");
  for (const OutputRow& row : run("out.h5", {"--max-tokens", "64"}))
    EXPECT_EQ(row.text, tokenizer.decode(row.token_ids));
}

TEST_F(Generate, MinTokensKeepsTheTextGoing) {
  write_prompts(scratch_.path("prompts.h5"), bundled_prompts(0, 12));
  for (const OutputRow& row : run("out.h5", {"--min-tokens", "16", "--temperature", "1"}))
    EXPECT_EQ(row.completion_tokens, 16);
}

TEST_F(Generate, ASavedPlanRunsAgainAndIsStoredInTheResult) {
  write_prompts(scratch_.path("prompts.h5"), bundled_prompts(0, 6));
  const std::string plan = scratch_.path("plan.json");
  const auto want = run("first.h5",
                        {"--save-plan", plan, "--layers-per-stage", "1,5,2", "--format",
                         "w8,w4,w4,w3,w3,w4,bf16,bf16"},
                        3);
  EXPECT_EQ(run("second.h5", {"--plan", plan}, 3), want);
  const auto json = parse_json(text_of("plan.json"), "plan.json", Exit::kUsage);
  ASSERT_EQ(json["pipelines"][0]["stages"].size(), 3u);
  EXPECT_EQ(json["pipelines"][0]["stages"][1]["layers"], (std::vector<int>{1, 6}));
  EXPECT_EQ(json["pipelines"][0]["stages"][2]["formats"],
            (std::vector<std::string>{"bf16", "bf16"}));
}

TEST_F(Generate, RanksMayServeStagesInAnyOrderAndIdle) {
  write_prompts(scratch_.path("prompts.h5"), bundled_prompts(0, 6));
  const std::string plan = scratch_.path("plan.json");
  const auto want = run("first.h5", {"--save-plan", plan, "--layers-per-stage", "3,5"}, 2);
  auto json = parse_json(text_of("plan.json"), "plan.json", Exit::kUsage);
  json["pipelines"][0]["stages"][0]["ranks"] = {3};
  json["pipelines"][0]["stages"][1]["ranks"] = {1};
  std::ofstream(plan) << json.dump();
  EXPECT_EQ(run("second.h5", {"--plan", plan}, 4), want) << "rank 0 has no stage, rank 2 idles";
}

TEST_F(Generate, PlanCommandPrintsThePlanFile) {
  const ProgramRun plan = run_program(
      {"plan", "--model", kTiny, "--json", "--format", "w4", "--log-level", "error"}, 2);
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  const auto json = parse_json(plan.out, "stdout", Exit::kUsage);
  EXPECT_EQ(json["format"], "llmpq-plan-1");
  EXPECT_EQ(json["pipelines"][0]["stages"].size(), 2u);
}

TEST_F(Generate, TimelineShowsRefillAndPrefillBesideDecode) {
  write_prompts(scratch_.path("prompts.h5"), bundled_prompts(0, 24));
  const std::string timeline = scratch_.path("timeline.txt");
  run("out.h5", {"--timeline", timeline, "--trace", scratch_.path("trace.json"), "--decode-batch",
                 "2", "--lanes", "2", "--prefill-tokens", "64"});
  const std::string text = text_of("timeline.txt");
  const size_t first_decode = text.find("decode 2 lane");
  ASSERT_NE(first_decode, std::string::npos) << text;
  EXPECT_NE(text.find("prefill", first_decode), std::string::npos) << "no refill after a decode";
  EXPECT_NE(text.find("send prefill"), std::string::npos);

  const auto trace = parse_json(text_of("trace.json"), "the trace", Exit::kOutput);
  std::map<std::string, std::set<int>> ranks;  // by category
  for (const auto& event : trace.at("traceEvents")) {
    const std::string phase = event.at("ph");
    if (phase == "M") continue;
    ranks[event.at("cat")].insert(event.at("pid").get<int>());
    EXPECT_GT(event.at("ts"), -1e6);  // reading begins before the run does
    if (phase == "X") {
      EXPECT_GE(event.at("dur"), 0);
    }
  }
  for (const char* category : {"prefill", "decode", "transfer", "wait", "operation"})
    EXPECT_EQ(ranks[category], (std::set<int>{0, 1})) << category;
  EXPECT_EQ(ranks["file"], std::set<int>{0});
}

/// A file system of its own with so little room; removed at the end.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    fs::create_directory(path_);
    mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=300k") == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount(path_.c_str());
  }
  bool mounted() const { return mounted_; }
  bool grow() const { return mount("tmpfs", path_.c_str(), nullptr, MS_REMOUNT, "size=16m") == 0; }

 private:
  std::string path_;
  bool mounted_;
};

TEST_F(Generate, AFullDiskEndsTheRunWithItsCodeAndResumeGoesOnWhenThereIsRoom) {
  write_prompts(scratch_.path("prompts.h5"), bundled_prompts(0, 1500));
  const SmallDisk disk(scratch_.path("disk"));
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small file system needs root";
  const ProgramRun full = run_program(job("disk/out.h5", {"--max-tokens", "32"}), 2);
  EXPECT_EQ(full.exit_code, 6) << full.err;
  EXPECT_THAT(full.err, HasSubstr("llmpq: error: rank 0 on "));
  EXPECT_THAT(full.err, HasSubstr("out.h5.part"));
  const int64_t done = committed_rows(scratch_.path("disk/out.h5"));
  EXPECT_GT(done, 0);
  const ProgramRun no_room = run_program(job("disk/out.h5", {"--max-tokens", "32", "--resume"}), 2);
  EXPECT_EQ(no_room.exit_code, 6) << no_room.err;
  EXPECT_EQ(committed_rows(scratch_.path("disk/out.h5")), done);
  ASSERT_TRUE(disk.grow());
  const auto rows = run("disk/out.h5", {"--max-tokens", "32", "--resume"}, 3);
  auto want = run("want.h5", {"--max-tokens", "32"});
  ASSERT_EQ(rows.size(), want.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    want[i].plan_index = rows[i].plan_index;
    EXPECT_TRUE(rows[i] == want[i]) << "row " << i;
  }
}

TEST_F(Generate, PreemptionChangesNothing) {
  write_prompts(scratch_.path("prompts.h5"), bundled_prompts(100, 24));
  // --min-tokens and not --ignore-eos, which would promise the scheduler the full length.
  const Flags flags{"--max-tokens", "96", "--min-tokens", "96", "--repetition-penalty", "1.2"};
  const auto want = run("want.h5", flags);
  Flags tight = flags;
  tight.insert(tight.end(), {"--kv-blocks", "40", "--decode-batch", "12", "--lanes", "2",
                             "--expected-output-tokens", "1"});
  const ProgramRun squeezed = run_program(job("out.h5", tight), 2);
  ASSERT_EQ(squeezed.exit_code, 0) << squeezed.err;
  EXPECT_THAT(squeezed.out, HasSubstr("preemptions"));
  EXPECT_EQ(read_output(scratch_.path("out.h5")), want);
}

TEST_F(Generate, EvalSaysTheSameOnAnyNumberOfRanks) {
  const std::string text = scratch_.path("text.txt");
  {
    std::ofstream file(text);
    for (const std::string& prompt : bundled_prompts(0, 40)) file << prompt << "\n";
  }
  const auto perplexity = [&](int ranks, const Flags& more) {
    Flags words{"eval",     "--model", kTiny,      "--text", text,          "--json",
                "--window", "256",     "--stride", "200",    "--log-level", "error"};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramRun run = run_program(words, ranks);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return parse_json(run.out, "stdout", Exit::kInternal);
  };
  const auto one = perplexity(0, {"--format", "w4"});
  EXPECT_EQ(perplexity(3, {"--format", "w4", "--prefill-tokens", "37"}), one);
  const double best = perplexity(2, {})["perplexity"],
               w3 = perplexity(2, {"--format", "w3"})["perplexity"];
  EXPECT_GT(one["perplexity"].get<double>(), 1.0);
  EXPECT_GT(w3, best) << "three bits cost quality";
}

}  // namespace
}  // namespace llmpq::test
