#include "base/file.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/expect_error.hpp"
#include "base/temp_folder.hpp"

namespace llmpq {
namespace {

TEST(File, WrittenAtomicallyAndReadWithinBounds) {
  const TempFolder folder;
  write_file_atomically(folder / "a", "first", Exit::kOutput);
  write_file_atomically(folder / "a", "second", Exit::kOutput);
  EXPECT_EQ(read_file(folder / "a", 6, Exit::kModel), "second");
  EXPECT_ERROR(read_file(folder / "a", 5, Exit::kModel), Exit::kModel,
               "6 B is too long, at most 5 B");
  EXPECT_FALSE(std::filesystem::exists(folder / "a.new"));
}

TEST(File, LinksAreFollowedToWhereAFileIsOrWouldBe) {
  namespace fs = std::filesystem;
  const TempFolder folder;
  fs::create_directory(folder / "far");
  fs::create_symlink("far/there", folder / "relative");
  fs::create_symlink(folder / "relative", folder / "twice");
  EXPECT_EQ(follow_links(folder / "plain", Exit::kOutput), folder / "plain");
  EXPECT_EQ(folder_of(folder / "plain"), folder.path());
  EXPECT_EQ(folder_of("plain"), ".");
  EXPECT_EQ(follow_links(folder / "twice", Exit::kOutput), folder / "far/there");
  for (const char* text : {"new", "again"}) {
    write_file_atomically(folder / "twice", text, Exit::kOutput);
    EXPECT_TRUE(fs::is_symlink(folder / "twice") && fs::is_symlink(folder / "relative"));
    EXPECT_EQ(read_file(folder / "far/there", 9, Exit::kOutput), text);
  }
  fs::create_symlink("round", folder / "round");
  EXPECT_ERROR(follow_links(folder / "round", Exit::kOutput), Exit::kOutput,
               "round: a symbolic link that leads in a circle");
}

TEST(File, WhatIsNotFinishedIsGone) {
  const TempFolder folder;
  for (const bool finishes : {false, true}) {
    const Unfinished file(folder / "a.new");
    std::ofstream(file.path()) << "text";
    if (finishes) rename_durably(file.path(), folder / "a", Exit::kOutput);
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "a.new"));
  EXPECT_TRUE(std::filesystem::exists(folder / "a"));
}

TEST(File, FailuresNameThePathAndTheReason) {
  const TempFolder folder;
  EXPECT_FALSE(is_there(folder / "none", Exit::kModel));
  EXPECT_ERROR(is_there(folder / std::string(300, 'x'), Exit::kModel), Exit::kModel,
               "x: File name too long");
  EXPECT_ERROR(read_file(folder / "none", 9, Exit::kModel), Exit::kModel,
               "none: cannot open: No such file");
  EXPECT_ERROR(read_file(folder.path(), 9, Exit::kModel), Exit::kModel, "not a regular file");
  EXPECT_ERROR(write_file_atomically(folder / "x/y", "", Exit::kOutput), Exit::kOutput,
               "y.new: cannot write");
  EXPECT_ERROR(rename_durably(folder / "a", folder / "b", Exit::kOutput), Exit::kOutput,
               "cannot be renamed");
}

TEST(File, SizesAsPeopleWriteThem) {
  EXPECT_EQ(parse_bytes("2GiB", "memory", Exit::kUsage), int64_t{2} << 30);
  EXPECT_EQ(parse_bytes("512 MiB", "memory", Exit::kUsage), int64_t{512} << 20);
  EXPECT_EQ(parse_bytes("1.5G", "memory", Exit::kUsage), int64_t{3} << 29);
  EXPECT_EQ(parse_bytes("4096", "memory", Exit::kUsage), 4096);
  EXPECT_EQ(parse_bytes("7B", "memory", Exit::kUsage), 7);
  for (const char* wrong : {"", "GiB", "2XiB", "-1", "1GiBs", "1e30", "nan", "2 G B x"}) {
    EXPECT_ERROR(parse_bytes(wrong, "memory", Exit::kUsage), Exit::kUsage, "memory: want a size");
  }
  EXPECT_EQ(bytes_text(37), "37 B");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(bytes_text(int64_t{200} << 30), "200 GiB");
}

}  // namespace
}  // namespace llmpq
