#include "input/read_ahead.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/temp_folder.hpp"
#include "input/model_files.hpp"

namespace llmpq {
namespace {

using test::expect_error;

constexpr int64_t kPart = 3 << 20;

/// A file of that many parts, as steps of one part each.
std::vector<std::vector<FilePart>> steps_of(const std::filesystem::path& file, int64_t parts) {
  std::ofstream(file) << std::string(static_cast<size_t>(parts * kPart), 'x');
  std::vector<std::vector<FilePart>> steps;
  for (int64_t i = 0; i < parts; ++i) steps.push_back({{file, i * kPart, (i + 1) * kPart}});
  return steps;
}

bool is_in_memory(const std::filesystem::path& file, int64_t begin, int64_t end) {
  const FileReader reader(file, Exit::kModel);
  for (int64_t at = begin; at < end; at += 4096)
    if (!reader.is_cached(at)) return false;
  return true;
}

/// Asks the system to forget the file that was just written. False where it does not, or where it
/// does not tell.
bool forget(const std::filesystem::path& file) {
  if (!FileReader(file, Exit::kModel).is_cached(0)) return false;
  const int descriptor = open(file.c_str(), O_RDWR);
  fsync(descriptor);
  posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  close(descriptor);
  return !FileReader(file, Exit::kModel).is_cached(0);
}

/// Waits until so many bytes are done, ten seconds at most, and a little longer.
void expect_done(const ReadAhead& ahead, int64_t bytes) {
  for (int i = 0; i < 1000 && ahead.bytes_done() < bytes; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(ahead.bytes_done(), bytes);
}

TEST(ReadAhead, ReadsEverythingWhereThereIsRoom) {
  const TempFolder folder;
  const auto steps = steps_of(folder / "a", 4);
  const ReadAhead ahead(steps);
  expect_done(ahead, 4 * kPart);
}

TEST(ReadAhead, StaysAStepAheadWhereThereIsNone) {
  const TempFolder folder;
  ReadAhead ahead(steps_of(folder / "a", 4), 1);
  expect_done(ahead, kPart);  // the first, before it is in use
  ahead.begin_step();
  expect_done(ahead, 2 * kPart);
  ahead.begin_step();
  ahead.begin_step();
  expect_done(ahead, 4 * kPart);
}

TEST(ReadAhead, AStepThatBeginsIsInMemory) {
  const TempFolder folder;
  const auto file = folder / "a";
  const auto steps = steps_of(file, 4);
  if (!forget(file)) GTEST_SKIP() << "the system keeps this file in memory, or does not tell";
  ReadAhead ahead(steps, 1);
  for (int64_t i = 0; i < 4; ++i) {
    ahead.begin_step();
    EXPECT_TRUE(is_in_memory(file, i * kPart, (i + 1) * kPart)) << "step " << i;
  }
}

TEST(ReadAhead, PartsOfAStepComeInAnyOrder) {
  const TempFolder folder;
  const auto apart = steps_of(folder / "a", 4);
  ReadAhead ahead({{apart[3][0], apart[1][0]}, {apart[2][0], apart[0][0]}}, 1);
  expect_done(ahead, 2 * kPart);
  ahead.begin_step();
  expect_done(ahead, 4 * kPart);
}

TEST(ReadAhead, EndsBeforeEverythingIsRead) {
  const TempFolder folder;
  const ReadAhead ahead(steps_of(folder / "a", 4), 1);
}

TEST(ReadAhead, WhatCannotBeReadIsToldWhenAStepBegins) {
  const TempFolder folder;
  const auto steps = steps_of(folder / "a", 2);
  std::filesystem::resize_file(folder / "a", kPart + 1000);
  ReadAhead ahead(steps);
  expect_error(
      [&] {
        for (int i = 0; i < 1000; ++i) {
          ahead.begin_step();
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
      },
      Exit::kModel, "ends at byte");
}

}  // namespace
}  // namespace llmpq
