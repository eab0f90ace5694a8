#include "output/logits_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/expect_error.hpp"
#include "base/temp_folder.hpp"

namespace llmpq {
namespace {

TEST(LogitsFile, GivesBackItsRowsInOrderAndLeavesNothing) {
  const TempFolder folder;
  LogitsFile file(folder.path(), 5, 3);
  file.append(std::vector<float>{1, 2, 3, 4, 5, 6});
  file.append(std::vector<float>{7, 8, 9, 10, 11, 12, 13, 14, 15});
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(file.next(1), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(file.next(3), (std::vector<float>{4, 5, 6, 7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(file.next(1), (std::vector<float>{13, 14, 15}));
  EXPECT_ERROR(file.next(1), Exit::kInternal, "row 6 of the logits");
}

TEST(LogitsFile, SaysWhereRoomIsMissing) {
  const TempFolder folder;
  EXPECT_ERROR(LogitsFile(folder.path(), int64_t{1} << 30, int64_t{1} << 20), Exit::kOutput,
               "take 4.0 PiB");
  EXPECT_ERROR(LogitsFile(folder / "none", 1, 1), Exit::kOutput, "none");
}

}  // namespace
}  // namespace llmpq
