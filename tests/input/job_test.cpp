#include "input/job.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/temp_folder.hpp"
#include "input/job_options.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Job read(const std::string& toml, Command command = Command::kGenerate) {
  Job job;
  read_job_toml(toml, "job.toml", "/jobs", command, job);
  return job;
}

/// The sentence of the usage error that `toml` ends in; empty if it is read.
std::string error_of(const std::string& toml, Command command = Command::kGenerate) {
  try {
    read(toml, command);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kUsage);
    return error.what();
  }
  return "";
}

std::string check_error(const std::string& toml) {
  try {
    check_job(read("model = 'm'\nprompts = 'p'\noutput = 'o'\n" + toml), Command::kGenerate);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kUsage);
    return error.what();
  }
  return "";
}

TEST(Job, DefaultsAreThoseOfTheDesign) {
  const auto json = nlohmann::json::parse(job_to_json(Job{}, Command::kGenerate));
  const auto want = nlohmann::json::parse(R"({
    "max-tokens": 256, "min-tokens": 0, "temperature": 1.0, "top-p": 1.0, "top-k": 0,
    "min-p": 0.0, "repetition-penalty": 1.0, "presence-penalty": 0.0, "frequency-penalty": 0.0,
    "seed": 0, "stop": [], "stop-token-ids": [], "ignore-eos": false, "logprobs": 0,
    "num-samples": 1, "kv-cache-dtype": "auto", "activation-dtype": "auto", "timeout": 300,
    "grace": 60,
    "prompt-window": 4096, "mix": "auto", "format": "auto", "model": null, "rows": null})");
  for (const auto& [key, value] : want.items()) EXPECT_EQ(json.at(key), value) << key;
}

TEST(Job, EveryOptionIsNamedOnceAndExplained) {
  std::map<std::string, unsigned> names;  // and the commands that have it
  for (const auto& option : options()) {
    EXPECT_EQ(names[option.name] & option.commands, 0u) << option.name;
    names[option.name] |= option.commands;
    EXPECT_TRUE(option.help.ends_with(".")) << option.name;
    EXPECT_NE(option.commands, 0u) << option.name;
    EXPECT_TRUE(option.binding.set && option.binding.get) << option.name;
  }
  EXPECT_GT(names.size(), 50u);
}

TEST(Job, ReadsEachTypeOfValue) {
  const Job job = read(R"(
model = "models/tiny"
prompts = "/data/prompts.h5"
overwrite = true
max-tokens = 64
temperature = 0
top-p = 0.9
seed = 9223372036854775807
stop = ["###", "a \"quoted\"\n"]
stop-token-ids = [7, 8]
kv-cache-dtype = "int8"
activation-dtype = "auto"
head-format = "w8"
format = ["w8", "w4", "bf16"]
layers-per-stage = "1,4,3"
memory-limit = "1.5GiB"
strategy = "manual"
truncate-prompt = "left"
expected-output-tokens = "auto"
threads = 2
)");
  EXPECT_EQ(job.model, "/jobs/models/tiny");
  EXPECT_EQ(job.prompts, "/data/prompts.h5");
  EXPECT_TRUE(job.overwrite);
  EXPECT_EQ(job.sampling.max_tokens, 64);
  EXPECT_EQ(job.sampling.temperature, 0);
  EXPECT_EQ(job.sampling.top_p, 0.9f);
  EXPECT_EQ(job.seed, 9223372036854775807u);
  EXPECT_THAT(job.sampling.stop, ElementsAre("###", "a \"quoted\"\n"));
  EXPECT_THAT(job.sampling.stop_token_ids, ElementsAre(7, 8));
  EXPECT_EQ(job.kv_cache_dtype, DType::kInt8);
  EXPECT_EQ(job.activation_dtype, std::nullopt);
  EXPECT_EQ(job.head_format, Format::kW8);
  EXPECT_THAT(job.format, ElementsAre(Format::kW8, Format::kW4, Format::kBf16));
  EXPECT_THAT(job.layers_per_stage, ElementsAre(1, 4, 3));
  EXPECT_EQ(job.memory_limit, int64_t{3} << 29);
  EXPECT_EQ(job.strategy, Strategy::kManual);
  EXPECT_EQ(job.truncate_prompt, TruncatePrompt::kLeft);
  EXPECT_EQ(job.expected_output_tokens, std::nullopt);
  EXPECT_EQ(job.threads, 2);
}

TEST(Job, BackendsAndEmulationsAreForAllRanksOrForEach) {
  EXPECT_THAT(read("").backend, ElementsAre(BackendWish::kAuto));
  EXPECT_THAT(read("backend = 'cuda'").backend, ElementsAre(BackendWish::kCuda));
  EXPECT_THAT(read("backend = 'cuda,auto,cpu'").backend,
              ElementsAre(BackendWish::kCuda, BackendWish::kAuto, BackendWish::kCpu));
  EXPECT_THAT(read("backend = ['cpu', 'cuda']").backend,
              ElementsAre(BackendWish::kCpu, BackendWish::kCuda));
  const Job job = read("emulate = ['memory=2GiB,sms=8', 'none']\nlink = 'nccl'\nshare-gpu = true");
  EXPECT_THAT(job.emulate, ElementsAre("memory=2GiB,sms=8", "none"));
  EXPECT_EQ(job.link, LinkWish::kNccl);
  EXPECT_TRUE(job.share_gpu);
  EXPECT_EQ(read("activation-dtype = 'f16'").activation_dtype, ActivationType::kF16);
}

TEST(Job, PathsStartAtTheFolderOfTheFile) {
  EXPECT_EQ(read("output = '../outputs/a.h5'").output, "/outputs/a.h5");
  EXPECT_EQ(read("output = 'a.h5'").output, "/jobs/a.h5");
  EXPECT_EQ(read("output = ''").output, "");
  EXPECT_THAT(
      read("emulate = ['memory=1GiB,profile=v100.json', 'profile=/p.json', 'profile=']").emulate,
      ElementsAre("memory=1GiB,profile=/jobs/v100.json", "profile=/p.json", "profile="));
}

TEST(Job, UnknownKeysNameTheNearest) {
  EXPECT_EQ(error_of("\nmax_tokens = 3"),
            "job.toml, line 2: unknown key \"max_tokens\": did you mean max-tokens?");
  EXPECT_THAT(error_of("temprature = 3"), HasSubstr("did you mean temperature?"));
  EXPECT_THAT(error_of("qwertyuiop = 3"), HasSubstr("llmpq generate --help lists all options"));
  EXPECT_THAT(error_of("input = 'a'"), HasSubstr("unknown key \"input\""));
}

TEST(Job, PlanReadsTheJobFilesOfGenerate) {
  EXPECT_EQ(read("output = 'o'\ntemperature = 0", Command::kPlan).output, "/jobs/o");
  EXPECT_THAT(error_of("temprature = 0", Command::kPlan), HasSubstr("unknown key"));
}

TEST(Job, WrongTypesNameKeyFoundAndWanted) {
  EXPECT_EQ(error_of("max-tokens = 'many'"),
            "job.toml, line 1: max-tokens is a string: want an integer from 1 to 2147483647 "
            "(tokens)");
  EXPECT_THAT(error_of("max-tokens = 1.5"), HasSubstr("is a number: want an integer"));
  EXPECT_THAT(error_of("max-tokens = [1, 2]"), HasSubstr("is an array: want an integer"));
  EXPECT_THAT(error_of("overwrite = 1"), HasSubstr("is an integer: want true or false"));
  EXPECT_THAT(error_of("model = true"), HasSubstr("is a boolean: want a path"));
  EXPECT_THAT(error_of("max-tokens = [[1]]"), HasSubstr("is an array: want an integer"));
  EXPECT_THAT(error_of("stop = [['a']]"), HasSubstr("is an array: want a text"));
  EXPECT_THAT(error_of("stop = ['a', 1]"), HasSubstr("stop is an integer: want a text"));
  EXPECT_THAT(error_of("seed = 'auto'"), HasSubstr("seed is a string"));
}

TEST(Job, ValuesOutOfRangeAreRefused) {
  EXPECT_THAT(error_of("max-tokens = 0"), HasSubstr("max-tokens is 0: want an integer from 1"));
  EXPECT_THAT(error_of("max-tokens = 2147483648"), HasSubstr("max-tokens is 2147483648"));
  EXPECT_THAT(error_of("top-p = 0"), HasSubstr("top-p is 0: want a number above 0 to 1"));
  EXPECT_THAT(error_of("top-p = 1.01"), HasSubstr("top-p is 1.01"));
  EXPECT_THAT(error_of("temperature = nan"), HasSubstr("temperature is nan"));
  EXPECT_THAT(error_of("temperature = inf"), HasSubstr("temperature is inf"));
  EXPECT_THAT(error_of("temperature = -0.5"), HasSubstr("temperature is -0.5"));
  EXPECT_THAT(error_of("repetition-penalty = 0"), HasSubstr("above 0"));
  EXPECT_THAT(error_of("seed = -1"), HasSubstr("seed is -1"));
  EXPECT_THAT(error_of("memory-limit = '2 apples'"), HasSubstr("want a size such as 2GiB"));
  EXPECT_THAT(error_of("memory-limit = '1e30TiB'"), HasSubstr("want a size"));
  EXPECT_THAT(error_of("stop = ['']"), HasSubstr("stop is \"\""));
  EXPECT_THAT(error_of("model = \"a\\u0000b\""), HasSubstr("want a path"));
}

TEST(Job, UnsupportedChoicesSayWhatIsSupported) {
  EXPECT_THAT(error_of("backend = 'rocm'"),
              HasSubstr("backend is \"rocm\": want a list of values, each one of auto, cpu, cuda"));
  EXPECT_THAT(error_of("link = 'tcp'"), HasSubstr("link is \"tcp\": want one of auto, nccl, mpi"));
  EXPECT_THAT(error_of("strategy = 'auto'"), HasSubstr("want one of joint, uniform, manual"));
  EXPECT_THAT(error_of("kv-cache-dtype = 'fp8'"),
              HasSubstr("want one of auto, f32, bf16, f16, int8"));
  EXPECT_THAT(error_of("format = ['w8', 'w5']"), HasSubstr("format is \"w5\": want a list"));
  EXPECT_THAT(error_of("format = 'w8,auto'"), HasSubstr("format is \"auto\""));
}

TEST(Job, BrokenTomlTellsLineAndColumn) {
  EXPECT_THAT(error_of("seed = 1\nstop = [\"a\" \"b\"]"), HasSubstr("job.toml, line 2, column 13"));
  EXPECT_THAT(error_of("seed = 1\nseed = 2"), HasSubstr("job.toml, line 2, column 1"));
}

TEST(Job, FilesThatCannotBeRead) {
  Job job;
  const TempFolder folder;
  EXPECT_THROW(read_job_file(folder / "no such job.toml", Command::kGenerate, job), Error);
  EXPECT_THROW(read_job_file(folder.path(), Command::kGenerate, job), Error);
  std::ofstream(folder / "job.toml") << "model = 'm'\nseed = 5\n";
  read_job_file(folder / "job.toml", Command::kGenerate, job);
  EXPECT_EQ(job.model, folder / "m");
  EXPECT_EQ(job.seed, 5u);
}

TEST(Job, ChecksWhatOneOptionCannotSee) {
  EXPECT_EQ(check_error(""), "");
  EXPECT_THAT(check_error("rows = '0:5'\nshard = '0/2'"), HasSubstr("give only one of them"));
  EXPECT_THAT(check_error("min-tokens = 9\nmax-tokens = 8"), HasSubstr("more than max-tokens"));
  EXPECT_THAT(check_error("strategy = 'manual'"), HasSubstr("needs --layers-per-stage"));
  EXPECT_THAT(check_error("max-batch = true\nmin-bits = true"), HasSubstr("one question"));
  EXPECT_THAT(check_error("min-bits = true\nformat = [\"w4\"]"),
              HasSubstr("min-bits asks which format fits"));
  EXPECT_EQ(check_error("strategy = 'llm-pq'"), "");
  EXPECT_EQ(check_error("strategy = 'llm-pq'\naverage-bits = 6"), "");
  EXPECT_THAT(check_error("strategy = 'all'"), HasSubstr("llmpq plan does that"));
  EXPECT_THAT(check_error("strategy = 'manual'\nlayers-per-stage = [8]\ntheta = 1"),
              HasSubstr("wish for strategies that choose formats"));
  EXPECT_THAT(check_error("plan = 'a'\nlayers-per-stage = [1]"), HasSubstr("only one"));
  EXPECT_THAT(check_error("output = 'p'"), HasSubstr("output"));
  EXPECT_THROW(check_job(Job{}, Command::kGenerate), Error);
  EXPECT_THROW(check_job(Job{}, Command::kInspect), Error);
}

TEST(Job, PrintedConfigReadsBackAsTheSameJob) {
  const Job jobs[] = {read(""), read(R"(
model = "m \\ \" é"
prompts = "p.h5"
temperature = 0.7
top-p = 1e-7
stop = ["\t", "b\u0001", "'''"]
stop-token-ids = []
format = "w3"
layers-per-stage = [3, 5]
strategy = "manual"
memory-limit = 500000
max-model-len = 77
log-level = "debug"
ignore-eos = true
backend = ["cuda", "cpu"]
emulate = ["sms=3", "none"]
)")};
  for (const Job& job : jobs) {
    const std::string toml = job_to_toml(job, Command::kGenerate);
    SCOPED_TRACE(toml);
    const Job again = read(toml);
    EXPECT_EQ(job_to_json(again, Command::kGenerate), job_to_json(job, Command::kGenerate));
    EXPECT_EQ(job_to_toml(again, Command::kGenerate), toml);
    EXPECT_EQ(again.sampling.top_p, job.sampling.top_p);
  }
}

TEST(Job, NumberTooSmallForAFloatStaysAboveZero) {
  const Job job = read("top-p = 1e-300\nmin-p = 1e-300\npresence-penalty = -1e-300");
  EXPECT_GT(job.sampling.top_p, 0);
  EXPECT_GT(job.sampling.min_p, 0);
  EXPECT_LT(job.sampling.presence_penalty, 0);
  const std::string toml = job_to_toml(job, Command::kGenerate);
  EXPECT_EQ(job_to_toml(read(toml), Command::kGenerate), toml);
}

TEST(Job, JsonHoldsEveryOptionOfTheCommand) {
  const auto json =
      nlohmann::json::parse(job_to_json(read("temperature = 0.7\nstop = 'x'"), Command::kGenerate));
  EXPECT_EQ(json.size(), options_of(Command::kGenerate).size());
  EXPECT_EQ(json["temperature"], 0.7);
  EXPECT_EQ(json["stop"], nlohmann::json::array({"x"}));
  EXPECT_FALSE(json.contains("input"));
}

TEST(Job, NearestNameFindsSlips) {
  const std::vector<std::string> names{"generate", "plan", "convert", "inspect"};
  EXPECT_EQ(nearest_name("genrate", names), "generate");
  EXPECT_EQ(nearest_name("paln", names), "plan");
  EXPECT_EQ(nearest_name("inspekt", names), "inspect");
  EXPECT_EQ(nearest_name("bananas", names), "");
  EXPECT_EQ(nearest_name("", {}), "");
  EXPECT_EQ(nearest_name(std::string(100000, 'g'), names), "");
}

}  // namespace
}  // namespace llmpq
