#include "base/process_memory.hpp"

#include <algorithm>
#include <fstream>
#include <string>

namespace llmpq {

int64_t anonymous_bytes() {
  std::ifstream file("/proc/self/status");
  int64_t kib = 0;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("RssAnon:")) kib = std::stoll(line.substr(8));
  return kib * 1024;
}

void AnonymousPeak::look() { bytes_ = std::max(bytes_, anonymous_bytes()); }

}  // namespace llmpq
