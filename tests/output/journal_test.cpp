#include "output/journal.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "base/expect_error.hpp"
#include "base/file.hpp"
#include "base/temp_folder.hpp"
#include "output/journal_reader.hpp"
#include "output/output_files.hpp"
#include "output/rows.hpp"

namespace llmpq {
namespace {

class JournalTest : public testing::Test {
 protected:
  TempFolder folder_;
  std::filesystem::path output_ = folder_ / "out.h5";
  OutputPaths paths_{output_};
};

/// All committed rows of the journal, in completion order, read as a live reader does.
std::vector<FinishedRow> committed_rows(const std::filesystem::path& part) {
  JournalFile file = JournalFile::open(part, h5::File::Mode::kLive);
  const JournalRows rows(file, file.last_commit());
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < rows.count(); ++i) indices.push_back(i);
  return rows.rows(rows.records(indices));
}

TEST_F(JournalTest, CommittedRowsAreReadableWhileTheJobRuns) {
  const auto journal = Journal::create(output_, sample_head(10, 30, 2, 3));
  EXPECT_EQ(journal->add_plan(R"({"mix": 1})"), 0);
  EXPECT_EQ(journal->add_plan(R"({"mix": 2})"), 1);
  EXPECT_EQ(journal->add_plan(R"({"mix": 1})"), 0);
  for (int64_t row = 29; row >= 15; --row) journal->add(sample_row(row, 1, 3));
  EXPECT_EQ(journal->counts().done, 0);
  EXPECT_TRUE(journal->is_done(29, 1));
  EXPECT_FALSE(journal->is_done(29, 0));
  EXPECT_TRUE(committed_rows(paths_.part).empty());
  journal->commit();
  EXPECT_EQ(journal->counts().rows, 40);
  EXPECT_EQ(journal->counts().done, 15);
  EXPECT_EQ(journal->counts().failed, 2);  // rows 17 and 24
  const auto rows = committed_rows(paths_.part);
  ASSERT_EQ(rows.size(), 15u);
  for (size_t i = 0; i < rows.size(); ++i) {
    expect_same_row(rows[i], sample_row(29 - static_cast<int64_t>(i), 1, 3));
  }
}

TEST_F(JournalTest, OneThatWasTakenAwayIsNoticedWithTheNextRow) {
  for (const bool replaced : {false, true}) {
    const auto journal = Journal::create(output_, sample_head(0, 3));
    journal->add(sample_row(0, 0));
    journal->commit();
    std::filesystem::remove(paths_.part);
    if (replaced) Journal::create(output_, sample_head(0, 3));
    journal->add(sample_row(1, 0));
    EXPECT_ERROR(journal->commit(), Exit::kOutput,
                 "out.h5.part: somebody removed it or put another file in its place while this job "
                 "wrote it, and its 2 rows are lost");
  }
}

TEST_F(JournalTest, TheFirstPlanIsThereFromTheFirstMoment) {
  { const auto journal = Journal::create(output_, sample_head(0, 3), R"({"mix": 1})"); }
  const auto journal = Journal::resume(output_);
  EXPECT_EQ(journal->plans(), std::vector<std::string>{R"({"mix": 1})"});
  EXPECT_EQ(journal->counts().done, 0);
}

TEST_F(JournalTest, ResumeKnowsWhatIsDoneAndGoesOn) {
  {
    const auto journal = Journal::create(output_, sample_head(0, 50));
    journal->add_plan("{}");
    for (int64_t row = 0; row < 20; ++row) journal->add(sample_row(row, 0));
    journal->commit();
    for (int64_t row = 20; row < 25; ++row) journal->add(sample_row(row, 0));  // never committed
  }
  const auto journal = Journal::resume(output_);
  EXPECT_EQ(journal->counts().done, 20);
  EXPECT_EQ(journal->counts().failed, 3);
  EXPECT_EQ(journal->head().fingerprint, sample_head(0, 50).fingerprint);
  EXPECT_EQ(journal->plans(), std::vector<std::string>{"{}"});
  for (int64_t row = 0; row < 50; ++row) EXPECT_EQ(journal->is_done(row, 0), row < 20);
  EXPECT_EQ(journal->add_plan("{\"again\": true}"), 1);
  for (int64_t row = 49; row >= 20; --row) journal->add(sample_row(row, 0));
  journal->commit();
  const auto rows = committed_rows(paths_.part);
  ASSERT_EQ(rows.size(), 50u);
  for (const FinishedRow& row : rows) expect_same_row(row, sample_row(row.row, 0));
  EXPECT_FALSE(std::filesystem::exists(paths_.recover));
}

TEST_F(JournalTest, RowsInErrorAreForgottenIfAskedFor) {
  {
    const auto journal = Journal::create(output_, sample_head(0, 1000, 1, 2));
    journal->add_plan("{}");
    for (int64_t row = 0; row < 600; ++row) journal->add(sample_row(row, 0, 2));
    journal->commit();
  }
  const auto journal = Journal::resume(output_, true);
  EXPECT_EQ(journal->plans(), std::vector<std::string>{"{}"});
  EXPECT_EQ(journal->counts().failed, 0);
  for (int64_t row = 0; row < 1000; ++row)
    EXPECT_EQ(journal->is_done(row, 0), row < 600 && row % 7 != 3) << row;
  journal->add(sample_row(3, 0, 2));
  journal->commit();
  const auto rows = committed_rows(paths_.part);
  ASSERT_EQ(static_cast<int64_t>(rows.size()), journal->counts().done);
  for (const FinishedRow& row : rows) expect_same_row(row, sample_row(row.row, 0, 2));
}

TEST_F(JournalTest, RowsThatDoNotBelongAreRefused) {
  const auto journal = Journal::create(output_, sample_head(5, 9, 2, 1));
  EXPECT_ERROR(journal->add(sample_row(9, 0, 1)), Exit::kInternal, "row 9 sample 0 is not of");
  EXPECT_ERROR(journal->add(sample_row(5, 2, 1)), Exit::kInternal, "row 5 sample 2 is not of");
  journal->add(sample_row(5, 1, 1));
  EXPECT_ERROR(journal->add(sample_row(5, 1, 1)), Exit::kInternal, "finished twice");
  EXPECT_ERROR(journal->add(sample_row(6, 1, 0)), Exit::kInternal, "tokens come with 0 logprobs");
}

/// Appends rows from `first` on for ever, a few at a time; tells each commit's count to `pipe`.
[[noreturn]] void write_until_killed(const std::filesystem::path& output, bool resume, int pipe) {
  const auto journal =
      resume ? Journal::resume(output) : Journal::create(output, sample_head(0, 1000000));
  int64_t row = journal->counts().done;
  for (;;) {
    const int64_t batch = row % 13 + 1;
    for (int64_t i = 0; i < batch; ++i) journal->add(sample_row(row++, 0));
    journal->commit();
    if (::write(pipe, &row, sizeof(row)) != sizeof(row)) _exit(1);
  }
}

/// Runs the writer in a child, kills it after `delay_us`; returns the last count that it told.
int64_t run_and_kill(const std::filesystem::path& output, bool resume, int delay_us,
                     int64_t before) {
  int ends[2];
  if (::pipe(ends) != 0) return -1;
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      write_until_killed(output, resume, ends[1]);
    } catch (const std::exception& error) {
      ::dprintf(2, "writer: %s\n", error.what());
      _exit(2);
    }
  }
  ::close(ends[1]);
  ::usleep(static_cast<useconds_t>(delay_us));
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself, status " << status;
  int64_t told = before, count = 0;
  while (::read(ends[0], &count, sizeof(count)) == sizeof(count)) told = count;
  ::close(ends[0]);
  return told;
}

TEST_F(JournalTest, NothingCommittedIsLostInTwentyKills) {
  std::mt19937 random(7);
  int64_t told = 0;
  int kills_after_commits = 0;
  for (int kill = 0; kill < 20; ++kill) {
    // Some kills hit the start and the repair, most of them the writing.
    const int delay_us = kill % 5 == 4 ? 1000 + static_cast<int>(random() % 20000)
                                       : 30000 + static_cast<int>(random() % 60000);
    const bool resume = std::filesystem::exists(paths_.part);
    const int64_t before = told;
    told = run_and_kill(output_, resume, delay_us, before);
    ASSERT_GE(told, before);
    kills_after_commits += told > before;
    if (!std::filesystem::exists(paths_.part)) continue;
    const auto rows = committed_rows(paths_.part);
    ASSERT_GE(static_cast<int64_t>(rows.size()), told) << "kill " << kill;
    for (size_t i = 0; i < rows.size(); ++i) {
      expect_same_row(rows[i], sample_row(static_cast<int64_t>(i), 0));
    }
    told = static_cast<int64_t>(rows.size());  // a commit may be whole before it was told
    if (HasFailure()) return;
  }
  EXPECT_GE(kills_after_commits, 8) << "the kills came before anything was committed";
  EXPECT_EQ(Journal::resume(output_)->counts().done, told);
}

class TornJournal : public JournalTest {
 protected:
  void SetUp() override {
    const auto journal = Journal::create(output_, sample_head(0, 100));
    for (int64_t row = 0; row < 100; ++row) {
      journal->add(sample_row(row, 0));
      if (row % 10 == 9) journal->commit();
    }
  }
  /// Replaces the first place where `what` stands in the file.
  void damage(const std::string& what, const std::string& with) {
    std::string bytes = read_file(paths_.part, 1 << 30, Exit::kInternal);
    const size_t at = bytes.find(what);
    ASSERT_NE(at, std::string::npos);
    bytes.replace(at, with.size(), with);
    std::ofstream(paths_.part, std::ios::binary) << bytes;
  }
};

TEST_F(TornJournal, AFlippedByteIsNamedWithCommitAndStream) {
  // The tokens of row 54, which commit 5 covers: 54000, 54001, ...
  const int32_t tokens[2] = {54000, 54001}, other[2] = {54000, 54002};
  damage(std::string(reinterpret_cast<const char*>(tokens), 8),
         std::string(reinterpret_cast<const char*>(other), 8));
  EXPECT_ERROR(Journal::resume(output_), Exit::kOutput,
               "commit 5 does not match its checksum in " + paths_.recover.string() +
                   ":/token_ids: the file is torn or foreign");
}

TEST_F(TornJournal, ATextThatWasChangedIsFound) {
  damage("row 10 has no prompt", "row 10 has no Prompt");
  EXPECT_ERROR(Journal::resume(output_), Exit::kOutput, "commit 1 does not match");
}

TEST_F(TornJournal, ATruncatedFileIsRefused) {
  const auto size = std::filesystem::file_size(paths_.part);
  for (const int eighths : {0, 1, 3, 5, 7}) {
    std::filesystem::resize_file(paths_.part, size * static_cast<unsigned>(eighths) / 8);
    try {
      Journal::resume(output_);
      ADD_FAILURE() << "accepted a file cut to " << eighths << "/8";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::kOutput) << error.what();
    }
    std::filesystem::remove_all(folder_.path());
    std::filesystem::create_directory(folder_.path());
    SetUp();
  }
}

TEST_F(TornJournal, ARowsFileOfSomebodyElseIsRefused) {
  { h5::File::create(paths_.part, true, Exit::kInternal).create_group("x"); }
  EXPECT_ERROR(Journal::resume(output_), Exit::kOutput, "not a journal of llmpq");
}

}  // namespace
}  // namespace llmpq
