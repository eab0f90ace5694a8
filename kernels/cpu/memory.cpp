#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "kernels/check.hpp"
#include "kernels/cpu/context.hpp"

namespace llmpq {
namespace {

constexpr int64_t kHeader = 64;  // in front of the data: how long the mapping is
constexpr int64_t kHugePage = 2 << 20;

void release(void* data) {
  if (data == nullptr) return;
  std::byte* base = static_cast<std::byte*>(data) - kHeader;
  int64_t length;
  std::memcpy(&length, base, sizeof(length));
  munmap(base, static_cast<size_t>(length));
}

}  // namespace

Buffer allocate_host(int64_t bytes) {
  CHECK(bytes >= 0 && bytes < (int64_t{1} << 48), Exit::kNoPlan,
        "cannot allocate {} bytes: no machine has so much memory", bytes);
  if (bytes == 0) return {};
  const int64_t length = bytes + kHeader;
  void* base = mmap(nullptr, static_cast<size_t>(length), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(base != MAP_FAILED, Exit::kNoPlan,
        "cannot allocate {:.1f} MiB of memory: {}; use fewer bits, a smaller batch or more ranks",
        static_cast<double>(bytes) / (1 << 20), std::strerror(errno));
  if (length >= kHugePage) madvise(base, static_cast<size_t>(length), MADV_HUGEPAGE);
  std::memcpy(base, &length, sizeof(length));
  return Buffer(static_cast<std::byte*>(base) + kHeader, bytes, release);
}

std::byte* CpuContext::scratch(int64_t bytes) {
  if (scratch_.bytes() < bytes) {
    scratch_ = Buffer();
    scratch_ = allocate_host(std::max(bytes, int64_t{1} << 16));
  }
  return scratch_.data();
}

}  // namespace llmpq
