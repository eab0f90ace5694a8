#include "output/output_files.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/expect_error.hpp"
#include "base/file.hpp"
#include "base/temp_folder.hpp"
#include "output/journal.hpp"
#include "output/result.hpp"
#include "output/rows.hpp"

namespace llmpq {
namespace {

class OutputFiles : public testing::Test {
 protected:
  void make_output() { ResultWriter(output_, empty_head()).finish(); }
  void make_part() { Journal::create(output_, sample_head(0, 3)); }
  static ResultHead empty_head() {
    return {{{0, 0}, 1, 0, "{}", "{}", "{}", "{}"}, false, "{}", {}};
  }

  TempFolder folder_;
  std::filesystem::path output_ = folder_ / "out.h5";
};

TEST_F(OutputFiles, NothingThereStartsFreshWithAnyFlags) {
  for (const bool overwrite : {false, true}) {
    for (const bool resume : {false, true}) {
      EXPECT_EQ(check_output(output_, {overwrite, resume}), OutputState::kFresh);
    }
  }
}

TEST_F(OutputFiles, ACompleteOutputIsKeptAcceptedOrMadeAnew) {
  make_output();
  EXPECT_ERROR(check_output(output_, {false, false}), Exit::kOutput, "exists already and is kept");
  EXPECT_EQ(check_output(output_, {false, true}), OutputState::kComplete);
  EXPECT_EQ(check_output(output_, {true, false}), OutputState::kFresh);
  EXPECT_EQ(check_output(output_, {true, true}), OutputState::kFresh);
}

TEST_F(OutputFiles, APartNeedsAFlag) {
  make_part();
  EXPECT_ERROR(check_output(output_, {false, false}), Exit::kOutput, "--resume goes on with them");
  EXPECT_EQ(check_output(output_, {false, true}), OutputState::kContinue);
  EXPECT_EQ(check_output(output_, {true, false}), OutputState::kFresh);
  EXPECT_EQ(check_output(output_, {true, true}), OutputState::kContinue);
}

TEST_F(OutputFiles, BothThere) {
  make_output();
  make_part();
  EXPECT_ERROR(check_output(output_, {false, false}), Exit::kOutput, "exists already");
  EXPECT_EQ(check_output(output_, {false, true}), OutputState::kComplete);
  EXPECT_EQ(check_output(output_, {true, false}), OutputState::kFresh);
  EXPECT_EQ(check_output(output_, {true, true}), OutputState::kContinue);
}

TEST_F(OutputFiles, SomebodyElsesFileIsNoCompleteOutput) {
  std::ofstream(output_) << "a thesis";
  EXPECT_ERROR(check_output(output_, {false, true}), Exit::kOutput, "is no output of llmpq");
  EXPECT_EQ(read_file(output_, 100, Exit::kInternal), "a thesis");
}

TEST_F(OutputFiles, PlacesThatCannotBeWritten) {
  EXPECT_ERROR(check_output(folder_ / "no/out.h5", {false, false}), Exit::kOutput,
               "the folder " + (folder_ / "no").string() + " does not exist");
  std::filesystem::create_directory(output_);
  EXPECT_ERROR(check_output(output_, {true, false}), Exit::kOutput, "is a folder, want a file");
  const auto pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_ERROR(check_output(pipe, {true, false}), Exit::kOutput, "pipe or the like, want a file");
  std::filesystem::create_symlink("/dev/null", folder_ / "null");
  EXPECT_ERROR(check_output(folder_ / "null", {true, false}), Exit::kOutput, "is a device");
  std::filesystem::create_symlink("/dev", folder_ / "dev");
  EXPECT_ERROR(check_place(folder_ / "dev/out.h5"), Exit::kOutput, "choose a file in another");
  EXPECT_ERROR(check_output("", {false, false}), Exit::kOutput, "want the name of a file");
  EXPECT_ERROR(check_output(folder_ / std::string(243, 'x'), {}), Exit::kOutput,
               "the file's name is too long: 243 bytes, at most 242 leave room");
  EXPECT_EQ(check_output(folder_ / std::string(242, 'x'), {}), OutputState::kFresh);
}

TEST_F(OutputFiles, AllStandWhereALinkLeads) {
  namespace fs = std::filesystem;
  const auto link = folder_ / "link.h5";
  fs::create_directory(folder_ / "far");
  fs::create_symlink("far/out.h5", link);
  EXPECT_EQ(check_output(link, {}), OutputState::kFresh);
  Journal::create(link, sample_head(0, 3));
  EXPECT_TRUE(fs::exists(folder_ / "far/out.h5.part"));
  EXPECT_ERROR(check_output(link, {}), Exit::kOutput, "far/out.h5.part: an earlier job left rows");
  EXPECT_EQ(check_output(link, {.resume = true}), OutputState::kContinue);
  fs::remove(folder_ / "far/out.h5.part");
  ResultWriter(folder_ / "far/out.h5", empty_head()).finish();
  EXPECT_ERROR(check_output(link, {}), Exit::kOutput, "link.h5: exists already");
  EXPECT_EQ(check_output(link, {.resume = true}), OutputState::kComplete);
  fs::create_symlink(folder_ / "none/out.h5", folder_ / "dangling");
  EXPECT_ERROR(check_output(folder_ / "dangling", {}), Exit::kOutput,
               "dangling: the folder " + (folder_ / "none").string() + " does not exist");
}

TEST_F(OutputFiles, ShardsHaveNamesOfTheirOwn) {
  EXPECT_EQ(shard_output("a/out.h5", "2/8"), std::filesystem::path("a/out.h5.shard-2-of-8"));
}

/// Takes the lock in a child that tells so and waits; returns its id.
pid_t lock_in_child(const std::filesystem::path& output) {
  int ends[2];
  if (::pipe(ends) != 0) return -1;
  const pid_t child = ::fork();
  if (child == 0) {
    const OutputLock lock(output, "4711");
    const char done = 'x';
    if (::write(ends[1], &done, 1) != 1) _exit(1);
    ::pause();
    _exit(0);
  }
  char done = 0;
  EXPECT_EQ(::read(ends[0], &done, 1), 1);
  ::close(ends[0]);
  ::close(ends[1]);
  return child;
}

TEST_F(OutputFiles, ASecondJobIsToldWhoHoldsTheLockAndADeadOwnerHoldsNothing) {
  const pid_t child = lock_in_child(output_);
  EXPECT_ERROR(OutputLock(output_, "2"), Exit::kOutput, "out.h5.part: in use by host ");
  EXPECT_ERROR(OutputLock(output_, "2"), Exit::kOutput,
               "pid " + std::to_string(child) + " job 4711");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  {
    const OutputLock lock(output_, "");
    EXPECT_TRUE(std::filesystem::exists(OutputPaths(output_).lock));
  }
  EXPECT_FALSE(std::filesystem::exists(OutputPaths(output_).lock));
}

}  // namespace
}  // namespace llmpq
