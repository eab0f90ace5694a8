// What --resume goes on with, under which plan, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/hdf5.hpp"
#include "base/json.hpp"
#include "program/files.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Flags = std::vector<std::string>;

constexpr int kRows = 80;

std::string bytes_of(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class Resume : public testing::Test {
 protected:
  Resume() {
    fs::copy(kTiny, model());
    write_prompts(prompts(), bundled_prompts(0, kRows));
  }

  std::string model() const { return scratch_.path("model"); }
  std::string prompts() const { return scratch_.path("prompts.h5"); }
  std::string output() const { return scratch_.path("out.h5"); }
  std::string part() const { return output() + ".part"; }

  Flags job(const Flags& more = {}) const {
    Flags words{"generate", "--model",      model(), "--prompts",    prompts(), "--output",
                output(),   "--max-tokens", "32",    "--ignore-eos", "--resume"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  ProgramRun run(const Flags& more = {}, int ranks = 2) const {
    return run_program(job(more), ranks);
  }

  /// A run that is killed when some of its rows are committed; the slowest instruction set leaves
  /// time for that, and another one gives the same rows.
  void start_and_kill(const Flags& more = {}) const {
    Flags flags{"--isa", "plain", "--decode-batch", "4"};
    flags.insert(flags.end(), more.begin(), more.end());
    RunningProgram program(job(flags), 2);
    while (!program.ended() && committed_rows(output()) == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    program.kill_all();
    ASSERT_GT(committed_rows(output()), 0);
    ASSERT_LT(committed_rows(output()), kRows);
  }

  void expect_refused(const std::string& sentence, const Flags& more = {}) const {
    const int64_t before = committed_rows(output());
    const ProgramRun refused = run(more);
    EXPECT_EQ(refused.exit_code, 6) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(sentence));
    EXPECT_EQ(committed_rows(output()), before);
  }

  nlohmann::json plans() const {
    const h5::File file = h5::File::open(output(), h5::File::Mode::kRead, Exit::kOutput);
    return parse_json(file.group("run").text_attribute("plans"), "plans", Exit::kOutput);
  }

  Scratch scratch_;
};

TEST_F(Resume, PlansWithTheProfileThatItBeganWith) {
  const Flags profile{
      "--profile-cache", scratch_.path("cache"), "--profile-seconds", "0.3", "--isa", "plain"};
  start_and_kill(profile);
  RunningProgram going_on(job(profile), 2);
  ASSERT_TRUE(going_on.says("going on with")) << going_on.err();
  ASSERT_TRUE(going_on.says("plans that were simulated")) << going_on.err();
  EXPECT_THAT(going_on.kill_all().err, testing::Not(HasSubstr("was measured in")));
}

TEST_F(Resume, ACompleteOutputOfAnotherJobStaysAndIsToldApart) {
  const Flags few{"--rows", "0:4"};
  ASSERT_EQ(run(few, 0).exit_code, 0);
  const std::string before = bytes_of(output());
  const auto expect = [&](const Flags& more, const std::string& said) {
    Flags flags = few;
    flags.insert(flags.end(), more.begin(), more.end());
    const ProgramRun again = run(flags, 0);
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_THAT(again.err, HasSubstr("is complete: nothing to do"));
    EXPECT_EQ(again.err.find("of another job") == std::string::npos, said.empty()) << again.err;
    EXPECT_THAT(again.err, HasSubstr(said.empty() ? said : "is of another job, with " + said));
    EXPECT_EQ(bytes_of(output()), before);
  };
  expect({}, "");
  expect({"--seed", "3", "--stop", "x"}, "seed 0 (now 3), stop [] (now [\"x\"])");
  expect({"--rows", "0:5"}, "rows 0:4 of them: it stays; --overwrite makes it anew");
  std::ofstream(model() + "/tokenizer.json", std::ios::app) << "\n";
  expect({}, "another tokenizer: it stays");
  std::ofstream(model() + "/config.json", std::ios::app) << "\n";
  expect({}, "another model, another tokenizer: it stays");
  write_prompts(prompts(), bundled_prompts(1, kRows));
  expect({}, "another model, another tokenizer, other prompts: it stays");
  fs::remove_all(model());
  fs::remove(prompts());
  expect({}, "");
}

TEST_F(Resume, UnderAnotherQuantizerOrOtherCalibrationTextsIsRefused) {
  const Flags gptq{"--format", "w4", "--quantizer", "gptq", "--calibration-tokens", "300"};
  start_and_kill(gptq);
  expect_refused("cannot go on: quantizer was", {"--format", "w4"});
  Flags other = gptq;
  other.back() = "301";
  expect_refused("cannot go on: quantizer was", other);
  EXPECT_EQ(run(gptq, 1).exit_code, 0);
}

TEST_F(Resume, OnMoreRanksThePlanOfEachRowIsKnown) {
  start_and_kill({"--format", "w8"});
  const int64_t before = committed_rows(output());
  ASSERT_EQ(run({}, 3).exit_code, 0);
  const auto rows = read_output(output());
  int64_t first = 0;
  for (const OutputRow& row : rows) first += row.plan_index == 0;
  EXPECT_EQ(first, before);
  const auto all = plans();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0]["pipelines"][0]["stages"].size(), 2u);
  EXPECT_EQ(all[1]["pipelines"][0]["stages"].size(), 3u);
  EXPECT_EQ(all[1]["pipelines"][0]["stages"][2]["formats"][0], "w8") << "the first plan's";
}

TEST_F(Resume, RefusesWhatChangedAndNamesIt) {
  start_and_kill();
  expect_refused("temperature was 1.0 when it was begun and is 0.5 now", {"--temperature", "0.5"});
  expect_refused("seed was 0 when it was begun and is 9 now", {"--seed", "9"});
  expect_refused("stop was [] when it was begun and is [\"x\"] now", {"--stop", "x"});
  expect_refused("--format: layer 0 was bf16", {"--format", "w8"});
  const std::string tokenizer = bytes_of(model() + "/tokenizer.json");
  std::ofstream(model() + "/tokenizer.json", std::ios::app) << "\n";
  expect_refused("tokenizer was ");
  std::ofstream(model() + "/tokenizer.json", std::ios::trunc) << tokenizer;
  const std::string config = bytes_of(model() + "/config.json");
  std::ofstream(model() + "/config.json", std::ios::app) << "\n";
  expect_refused("model was ");
  std::ofstream(model() + "/config.json", std::ios::trunc) << config;
  write_prompts(prompts(), bundled_prompts(1, kRows));
  expect_refused("prompts was ");
  write_prompts(prompts(), bundled_prompts(0, kRows));
  EXPECT_EQ(run().exit_code, 0) << "nothing is changed any more";
}

TEST_F(Resume, OtherFormatsOnlyWhereThatIsAllowed) {
  start_and_kill();
  const int64_t before = committed_rows(output());
  const ProgramRun changed = run({"--format", "w4", "--allow-format-change"});
  ASSERT_EQ(changed.exit_code, 0) << changed.err;
  const auto rows = read_output(output());
  int64_t first = 0;
  for (const OutputRow& row : rows) first += row.plan_index == 0;
  EXPECT_EQ(first, before);
  EXPECT_EQ(plans()[1]["pipelines"][0]["stages"][0]["formats"][0], "w4");
}

TEST_F(Resume, FormatsThatDoNotFitAnyMoreGiveWayOnlyIfAllowed) {
  start_and_kill();
  const Flags small{"--memory-limit", "5MiB", "--max-model-len", "512"};
  const ProgramRun refused = run(small, 1);
  EXPECT_EQ(refused.exit_code, 3) << refused.err;
  Flags allowed = small;
  allowed.push_back("--allow-format-change");
  const ProgramRun run_small = run(allowed, 1);
  ASSERT_EQ(run_small.exit_code, 0) << run_small.err;
  EXPECT_THAT(run_small.err, HasSubstr("do not fit any more"));
  EXPECT_NE(plans()[1]["pipelines"][0]["stages"][0]["formats"][0], "bf16");
}

/// Overwrites the last norm's weights, which are of bf16, with NaN: no logit is finite any more.
void break_weights(const std::string& path) {
  std::string bytes = bytes_of(path);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  const auto header = parse_json(bytes.substr(8, header_bytes), path, Exit::kModel);
  const auto& offsets = header["model.norm.weight"]["data_offsets"];
  for (size_t at = offsets[0]; at < offsets[1]; ++at) bytes[8 + header_bytes + at] = '\xff';
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST_F(Resume, FailedRowsAreDoneAgainIfAskedFor) {
  const std::string weights = model() + "/model.safetensors", whole = bytes_of(weights);
  start_and_kill();
  const int64_t good = committed_rows(output());
  break_weights(weights);
  ASSERT_EQ(run().exit_code, 0);
  const auto failed = [&] {
    int64_t count = 0;
    for (const OutputRow& row : read_output(output())) count += row.status == "failed";
    return count;
  };
  ASSERT_EQ(failed(), kRows - good);
  std::ofstream(weights, std::ios::binary) << whole;
  EXPECT_EQ(run().exit_code, 0);
  EXPECT_EQ(failed(), kRows - good) << "a complete output is left alone";
  const ProgramRun again = run({"--retry-failed"}, 3);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr(": " + std::to_string(good) + " of 80 rows are done"));
  EXPECT_EQ(failed(), 0);
  const auto rows = read_output(output());
  fs::remove(output());
  ASSERT_EQ(run().exit_code, 0);
  auto want = read_output(output());
  ASSERT_EQ(rows.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    want[i].plan_index = rows[i].plan_index;
    EXPECT_TRUE(rows[i] == want[i]) << "row " << i;
  }
}

TEST_F(Resume, ASecondJobIsKeptOutAndInspectShowsTheFirst) {
  RunningProgram first(job({"--isa", "plain", "--decode-batch", "4"}), 2);
  while (!first.ended() && committed_rows(output()) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const ProgramRun second = run();
  EXPECT_EQ(second.exit_code, 6) << second.err;
  EXPECT_THAT(second.err, HasSubstr("in use by host "));
  const ProgramRun inspect = run_program({"inspect", output(), "--json"});
  const auto json = parse_json(inspect.out, "stdout", Exit::kOutput);
  EXPECT_EQ(json["running"], true);
  EXPECT_GT(json["rows_done"], 0);
  first.kill_all();
}

TEST_F(Resume, ATornJournalIsNamed) {
  start_and_kill();
  std::string bytes = bytes_of(part());
  // Text of a row that is done: it stands there as it is.
  const std::string text = "the ";
  const size_t at = bytes.rfind(text);
  ASSERT_NE(at, std::string::npos);
  bytes[at] = 'T';
  std::ofstream(part(), std::ios::binary) << bytes;
  expect_refused("does not match its checksum in " + part() + ".recover:/bytes");
}

}  // namespace
}  // namespace llmpq::test
