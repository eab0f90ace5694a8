#include "base/file_reader.hpp"

#include <gtest/gtest.h>

#include <array>
#include <fstream>

#include "base/expect_error.hpp"
#include "base/temp_folder.hpp"

namespace llmpq {
namespace {

TEST(FileReader, ReadsBytesAtAnyPlace) {
  const TempFolder folder;
  std::ofstream(folder / "a") << "0123456789";
  const FileReader reader(folder / "a", Exit::kModel);
  std::array<std::byte, 4> bytes{};
  reader.read_at(6, bytes);
  EXPECT_EQ(bytes[0], std::byte{'6'});
  EXPECT_EQ(bytes[3], std::byte{'9'});
  reader.read_at(100, {});
  EXPECT_FALSE(reader.is_cached(10)) << "behind the end";
}

TEST(FileReader, TellsFileAndPlaceWhereItCannotRead) {
  const TempFolder folder;
  std::ofstream(folder / "a") << "0123456789";
  const FileReader reader(folder / "a", Exit::kModel);
  std::array<std::byte, 4> bytes{};
  EXPECT_ERROR(reader.read_at(8, bytes), Exit::kModel, "a: ends at byte 10, where 2 more");
  EXPECT_ERROR(FileReader(folder / "none", Exit::kModel), Exit::kModel, "none: cannot open");
  const FileReader directory(folder.path(), Exit::kModel);  // opens, and cannot be read
  EXPECT_ERROR(directory.read_at(0, bytes), Exit::kModel, "cannot read 4 bytes from byte 0 on");
}

}  // namespace
}  // namespace llmpq
