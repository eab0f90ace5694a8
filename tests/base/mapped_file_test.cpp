#include "base/mapped_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>
#include <vector>

#include "base/expect_error.hpp"
#include "base/temp_folder.hpp"

namespace llmpq {
namespace {

TEST(MappedFile, MappedBytesMoveWithTheirOwner) {
  const TempFolder folder;
  std::ofstream(folder / "a") << "mapped";
  std::ofstream(folder / "empty");
  MappedFile file(folder / "a", Exit::kModel);
  MappedFile other(folder / "empty", Exit::kModel);
  EXPECT_EQ(other.size(), 0);
  other = std::move(file);
  ASSERT_EQ(other.size(), 6);
  EXPECT_EQ(static_cast<char>(other.bytes()[5]), 'd');
  EXPECT_ERROR(MappedFile(folder / "none", Exit::kModel), Exit::kModel, "cannot open");
}

int sum(std::span<const std::byte> bytes) {
  int sum = 0;
  for (const std::byte byte : bytes) sum += static_cast<int>(byte);
  return sum;
}

TEST(MappedFile, AFileThatIsCutShortIsToldByWhoAsks) {
  const TempFolder folder;
  const int64_t page = sysconf(_SC_PAGESIZE);
  std::ofstream(folder / "cut") << std::string(static_cast<size_t>(64 * page), '\1');
  std::ofstream(folder / "whole") << std::string(static_cast<size_t>(4 * page), '\1');
  MappedFile cut(folder / "cut", Exit::kModel);
  const MappedFile whole(folder / "whole", Exit::kModel);
  std::filesystem::resize_file(folder / "cut", static_cast<uintmax_t>(2 * page));
  EXPECT_EQ(sum(cut.bytes().first(static_cast<size_t>(2 * page))), 2 * page);
  EXPECT_NO_THROW(cut.check_read());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { sum(cut.bytes()); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum(cut.bytes()), 2 * page) << "zeros in place of what is lost";
  EXPECT_EQ(sum(whole.bytes()), 4 * page);
  EXPECT_NO_THROW(whole.check_read());
  const std::string sentence = "cut: cannot be read from byte " + std::to_string(2 * page) + " on";
  EXPECT_ERROR(cut.check_read(), Exit::kModel, sentence);
  const MappedFile moved = std::move(cut);
  EXPECT_ERROR(moved.check_read(), Exit::kModel, sentence);
}

TEST(MappedFile, APlaceThatIsFreeAgainKnowsNothingOfTheFileBefore) {
  const TempFolder folder;
  const int64_t page = sysconf(_SC_PAGESIZE);
  for (int i = 0; i < 3; ++i) {
    std::ofstream(folder / "a") << std::string(static_cast<size_t>(2 * page), '\1');
    const MappedFile file(folder / "a", Exit::kModel);
    EXPECT_NO_THROW(file.check_read());
    std::filesystem::resize_file(folder / "a", 0);
    EXPECT_EQ(sum(file.bytes()), 0);
    EXPECT_ERROR(file.check_read(), Exit::kModel, "cut short");
  }
}

/// Touches a page of a file that is mapped by other means.
void raise_bus_error(const std::filesystem::path& path) {
  std::ofstream(path) << "b";
  const int file = open(path.c_str(), O_RDONLY);
  const auto* const bytes =
      static_cast<const volatile char*>(mmap(nullptr, 1, PROT_READ, MAP_PRIVATE, file, 0));
  std::filesystem::resize_file(path, 0);
  _exit(*bytes);
}

/// AddressSanitizer, whose handler was there before, reports it and exits with 1.
bool ended_by_bus_error(int status) {
  return (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) ||
         (WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

TEST(MappedFile, OtherBusErrorsStillEndTheProcess) {
  const TempFolder folder;
  std::ofstream(folder / "a") << "a";
  const MappedFile file(folder / "a", Exit::kModel);
  EXPECT_EXIT(raise_bus_error(folder / "b"), ended_by_bus_error, "");
}

}  // namespace
}  // namespace llmpq
