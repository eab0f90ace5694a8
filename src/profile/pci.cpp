#include "profile/pci.hpp"

#include <filesystem>
#include <fstream>
#include <string>

namespace llmpq {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNvidia = "0x10de";
constexpr const char* kDisplayClass = "0x03";

std::string word_in(const fs::path& path) {
  std::string word;
  std::ifstream(path) >> word;
  return word;
}

}  // namespace

bool has_nvidia_gpu() {
  std::error_code none;
  for (const auto& device : fs::directory_iterator("/sys/bus/pci/devices", none))
    if (word_in(device.path() / "vendor") == kNvidia &&
        word_in(device.path() / "class").starts_with(kDisplayClass))
      return true;
  return false;
}

}  // namespace llmpq
