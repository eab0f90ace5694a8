#include "output/logits_file.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/expect_error.hpp"
#include "base/temp_folder.hpp"

namespace llmpq {
namespace {

std::span<const std::byte> bytes_of(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<float> row_of(const LogitsFile& file, int64_t row) {
  std::vector<float> values(static_cast<size_t>(file.vocab()));
  file.read_row(row, values);
  return values;
}

/// Written whole rows at a time or not.
TEST(LogitsFile, GivesBackItsRowsAndLeavesNothing) {
  const TempFolder folder;
  LogitsFile made(folder.path(), 5, 3);
  made.append(bytes_of({1, 2, 3, 4}));
  LogitsFile file = std::move(made);
  file.append(bytes_of({5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(file.bytes(), 5 * 3 * 4);
  EXPECT_EQ(row_of(file, 4), (std::vector<float>{13, 14, 15}));
  EXPECT_EQ(row_of(file, 0), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(row_of(file, 1), (std::vector<float>{4, 5, 6}));
  EXPECT_ERROR(row_of(file, 5), Exit::kInternal, "byte 72 of the logits is wanted, there are 60");
}

/// What a disk says when it is full, or a quota: here a limit on the size of files.
TEST(LogitsFile, SaysWhatTheDiskRefuses) {
  const TempFolder folder;
  LogitsFile file(folder.path(), 2, 1024);
  const auto signal_before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{5000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::vector<float> row(1024, 1.0f);
  file.append(bytes_of(row));
  EXPECT_ERROR(file.append(bytes_of(row)), Exit::kOutput,
               "the unquantized model's logits in " + folder.path().string() + ": File too large");
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, signal_before);
}

TEST(LogitsFile, SaysWhereRoomIsMissing) {
  const TempFolder folder;
  EXPECT_ERROR(LogitsFile(folder.path(), int64_t{1} << 30, int64_t{1} << 20), Exit::kOutput,
               "take 4.0 PiB");
  EXPECT_ERROR(LogitsFile(folder / "none", 1, 1), Exit::kOutput, "none");
}

}  // namespace
}  // namespace llmpq
