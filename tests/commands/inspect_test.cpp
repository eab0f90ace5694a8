#include "commands/inspect.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/expect_error.hpp"
#include "base/hdf5.hpp"
#include "base/temp_folder.hpp"
#include "output/journal.hpp"
#include "output/output_files.hpp"
#include "output/publish.hpp"
#include "output/rows.hpp"
#include "profile/sensitivity_file.hpp"

namespace llmpq {
namespace {

class Inspect : public testing::Test {
 protected:
  void publish_rows(int64_t rows) {
    auto journal = Journal::create(output_, sample_head(0, rows));
    journal->add_plan("{}");
    for (int64_t row = 0; row < rows; ++row) journal->add(sample_row(row, 0));
    const auto ids = [](int64_t, int64_t count) {
      return std::vector<std::string>(static_cast<size_t>(count));
    };
    publish(output_, std::move(journal), {false, R"({"run_s": 2})", ids});
  }
  std::string printed(const std::filesystem::path& file, bool json) {
    Job job;
    job.file = file;
    job.json = json;
    testing::internal::CaptureStdout();
    EXPECT_EQ(run_inspect(job), 0);
    return testing::internal::GetCapturedStdout();
  }

  TempFolder folder_;
  std::filesystem::path output_ = folder_ / "out.h5";
};

TEST_F(Inspect, ACompleteOutput) {
  publish_rows(20);
  const auto json = nlohmann::json::parse(printed(output_, true));
  EXPECT_EQ(json["kind"], "output");
  EXPECT_EQ(json["rows"], 20);
  EXPECT_EQ(json["rows_done"], 20);
  EXPECT_EQ(json["rows_failed"], 3);
  EXPECT_EQ(json["times"]["run_s"], 2);
  const std::string text = printed(output_, false);
  EXPECT_THAT(text, testing::HasSubstr("rows_failed  3\n"));
  EXPECT_THAT(text, testing::HasSubstr("row 3 has no prompt"));
}

TEST_F(Inspect, ASensitivityFile) {
  const auto file = folder_ / "model.h5";
  Sensitivity sensitivity;
  sensitivity.omega.resize(3);
  sensitivity.model_hash = 255;
  save_sensitivity(file, sensitivity);
  const auto json = nlohmann::json::parse(printed(file, true));
  EXPECT_EQ(json["kind"], "sensitivity");
  EXPECT_EQ(json["layers"], 3);
  EXPECT_EQ(json["model_hash"], "00000000000000ff");
  EXPECT_EQ(json["calibrated"], false);
  EXPECT_THAT(printed(file, false), testing::HasSubstr("layers      3\n"));
}

/// A job in another process: 15 rows are committed, 2 more added; then it waits.
pid_t start_job(const std::filesystem::path& output) {
  int ends[2];
  if (::pipe(ends) != 0) return -1;
  const pid_t child = ::fork();
  if (child == 0) {
    const OutputLock lock(output, "77");
    const auto journal = Journal::create(output, sample_head(0, 40));
    for (int64_t row = 0; row < 15; ++row) journal->add(sample_row(row, 0));
    journal->commit();
    for (int64_t row = 15; row < 17; ++row) journal->add(sample_row(row, 0));
    if (::write(ends[1], "x", 1) != 1) _exit(1);
    ::pause();
    _exit(0);
  }
  char done = 0;
  EXPECT_EQ(::read(ends[0], &done, 1), 1);
  return child;
}

TEST_F(Inspect, ARunningJobAndThenADeadOne) {
  publish_rows(5);  // an older output, which the journal comes before
  const pid_t child = start_job(output_);
  for (const bool running : {true, false}) {
    if (!running) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    const auto json = nlohmann::json::parse(printed(output_, true));
    EXPECT_EQ(json["kind"], "journal");
    EXPECT_EQ(json["rows"], 40);
    EXPECT_EQ(json["rows_done"], 15);
    EXPECT_EQ(json["rows_failed"], 2);
    EXPECT_EQ(json["running"], running);
    EXPECT_EQ(json["owner"].is_string(), running);
    EXPECT_EQ(json, nlohmann::json::parse(printed(OutputPaths(output_).part, true)));
    EXPECT_THAT(printed(output_, false), testing::HasSubstr("\n 14       0  stop"));
  }
}

TEST_F(Inspect, Prompts) {
  {
    h5::File file = h5::File::create(output_, false, Exit::kInternal);
    file.create_dataset("prompt", {h5::text_type(), 4, {}})
        .write_text(0, std::vector<std::string>{"one", "two"});
    file.create_dataset("colour", {h5::text_type(), 4, {}});
  }
  const auto json = nlohmann::json::parse(printed(output_, true));
  EXPECT_EQ(json["kind"], "prompts");
  EXPECT_EQ(json["rows"], 2);
  EXPECT_EQ(json["ignored"], nlohmann::json::array({"colour"}));
  EXPECT_THAT(printed(output_, false), testing::HasSubstr("  1  two\n"));
}

TEST_F(Inspect, APlanIsPrintedAsItStands) {
  const auto path = folder_ / "plan.json";
  std::ofstream(path) << R"({"format":"llmpq-plan-1","lanes":2})";
  EXPECT_EQ(printed(path, false), "{\n  \"format\": \"llmpq-plan-1\",\n  \"lanes\": 2\n}\n");
  EXPECT_EQ(printed(path, true), "{\"format\":\"llmpq-plan-1\",\"lanes\":2}\n");
}

TEST_F(Inspect, FilesThatAreNotOurs) {
  EXPECT_ERROR(describe_file(output_), Exit::kOutput, "out.h5: there is no such file, and no ");
  std::ofstream(folder_ / "a.json") << "prose";
  EXPECT_ERROR(describe_file(folder_ / "a.json"), Exit::kOutput, "a.json: not JSON");
  std::ofstream(folder_ / "b.json");
  EXPECT_ERROR(describe_file(folder_ / "b.json"), Exit::kOutput, "the file is empty");
  std::ofstream(folder_ / "p.jsonl") << "{}";
  EXPECT_ERROR(describe_file(folder_ / "p.jsonl"), Exit::kPrompts, "p.jsonl: not an HDF5 file; ");
  { h5::File::create(folder_ / "c.h5", false, Exit::kInternal); }
  EXPECT_ERROR(describe_file(folder_ / "c.h5"), Exit::kPrompts, "want a dataset /prompt");
}

}  // namespace
}  // namespace llmpq
