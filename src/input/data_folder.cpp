#include "input/data_folder.hpp"

#include <algorithm>
#include <cstdlib>
#include <system_error>

namespace llmpq {
namespace {

namespace fs = std::filesystem;

/// Empty where the system does not tell.
fs::path program_folder() {
  std::error_code unknown;
  return fs::read_symlink("/proc/self/exe", unknown).parent_path();
}

std::vector<fs::path> candidates() {
  if (const char* named = std::getenv("LLMPQ_DATA"); named != nullptr && *named != '\0')
    return {named};
  constexpr int kMostLevels = 4;  // build/src/llmpq, build/preset/tests/tests_input
  fs::path above = program_folder();
  if (above.empty()) return {};
  std::vector<fs::path> folders{above / "data", above.parent_path() / "share/llmpq/data"};
  for (int level = 0; level < kMostLevels; ++level) {
    above = above.parent_path();
    folders.push_back(above / "data");
  }
  return folders;
}

}  // namespace

std::optional<fs::path> find_data_folder(const std::string& inside) {
  std::error_code unreadable;
  for (const fs::path& folder : candidates())
    if (fs::is_directory(folder / inside, unreadable)) return folder / inside;
  return std::nullopt;
}

std::vector<std::string> data_names(const std::string& inside) {
  std::vector<std::string> names;
  std::error_code unreadable;
  if (const auto folder = find_data_folder(inside))
    for (const auto& entry : fs::directory_iterator(*folder, unreadable))
      names.push_back(entry.is_directory(unreadable) ? entry.path().filename().string()
                                                     : entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace llmpq
