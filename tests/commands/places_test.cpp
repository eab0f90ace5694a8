// Every file that a command writes beside its output is looked at before anything is computed.
#include "commands/places.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/expect_error.hpp"
#include "base/temp_folder.hpp"
#include "input/job_options.hpp"

namespace llmpq {
namespace {

bool is_written(const Option& option) {
  return option.name.starts_with("save-") || option.name == "timeline" || option.name == "trace" ||
         option.name == "svg";
}

TEST(Places, EachFileOfEachCommandIsLookedAt) {
  const TempFolder folder;
  int looked_at = 0;
  for (const Command command : {Command::kGenerate, Command::kPlan, Command::kEval,
                                Command::kProfile, Command::kBench, Command::kSensitivity})
    for (const Option* option : options_of(command)) {
      if (!is_written(*option)) continue;
      const auto job = [&](const std::string& path) {
        Job made;
        option->binding.set(made, {(folder / path).string()});
        return made;
      };
      EXPECT_NO_THROW(check_places(job("file"), command)) << option->name;
      EXPECT_ERROR(check_places(job("none/file"), command), Exit::kOutput,
                   "/none does not exist; create it");
      ++looked_at;
    }
  EXPECT_GT(looked_at, 10);
}

TEST(Places, AnOutputDoesNotTakeThePlaceOfItsPrompts) {
  const TempFolder folder;
  std::ofstream(folder / "prompts.h5") << "x";
  std::filesystem::create_symlink("prompts.h5", folder / "link.h5");
  Job job;
  job.prompts = folder / "link.h5";
  job.output = folder / "out.h5";
  EXPECT_NO_THROW(check_places(job, Command::kGenerate));
  job.output = folder / "prompts.h5";
  EXPECT_ERROR(check_places(job, Command::kGenerate), Exit::kUsage, "are the same file");
}

TEST(Places, WhatAnotherCommandWritesIsNoneOfThisOne) {
  Job job;
  job.trace = "/none/trace.json";
  EXPECT_NO_THROW(check_places(job, Command::kPlan));
  EXPECT_ERROR(check_places(job, Command::kBench), Exit::kOutput, "/none does not exist");
}

}  // namespace
}  // namespace llmpq
