// Memory of the CPU backend, in huge pages: weights are read at the speed of the memory, and pages
// of 4 KiB cost a quarter of that speed. The kernel makes a huge page only where all of its 2 MiB
// may be used when it is touched first, so buffers lie one after the other in one area, of which
// ever more is opened for use, 2 MiB at a time.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "kernels/check.hpp"
#include "kernels/cpu/context.hpp"

namespace llmpq {
namespace {

constexpr int64_t kHeader = 64;  // in front of the data: how many bytes of the area it has
constexpr int64_t kHugePage = 2 << 20;
/// Addresses to reserve at a time; they cost nothing, and are used once.
constexpr int64_t kReserved = int64_t{1} << 40;

/// 4 KiB, on some machines 16 or 64.
int64_t page_bytes() {
  static const int64_t bytes = sysconf(_SC_PAGESIZE);
  return bytes;
}

int64_t rounded_up(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

/// Addresses [next, end) are nobody's yet; [next, open) may be written to.
struct Area {
  std::mutex mutex;
  std::byte *next = nullptr, *open = nullptr, *end = nullptr;

  /// `length` bytes, whole pages; nullptr, and errno, if there are none.
  std::byte* take(int64_t length) {
    const std::lock_guard lock(mutex);
    if (length > end - next && !reserve(std::max(kReserved, length + 2 * kHugePage)) &&
        !reserve(length + 2 * kHugePage))  // the process may have a limit of addresses
      return nullptr;
    if (length > open - next) {
      const int64_t more = rounded_up(length - (open - next), kHugePage);
      if (mprotect(open, static_cast<size_t>(more), PROT_READ | PROT_WRITE) != 0) return nullptr;
      open += more;
    }
    next += length;
    return next - length;
  }

 private:
  bool reserve(int64_t bytes) {
    void* const from =
        mmap(nullptr, static_cast<size_t>(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (from == MAP_FAILED) return false;
    madvise(from, static_cast<size_t>(bytes), MADV_HUGEPAGE);
    auto* const first = static_cast<std::byte*>(from);
    const auto address = reinterpret_cast<intptr_t>(first);
    next = open = first + (rounded_up(address, kHugePage) - address);
    end = first + bytes / kHugePage * kHugePage - kHugePage;
    return true;
  }
};

Area& area() {
  static Area* const the_area = new Area;  // never destroyed: buffers may outlive everything
  return *the_area;
}

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
  const int64_t length = rounded_up(bytes + kHeader, page_bytes());
  std::byte* const base = area().take(length);
  CHECK(base != nullptr, Exit::kNoPlan,
        "cannot allocate {:.1f} MiB of memory: {}; use fewer bits, a smaller batch or more ranks",
        static_cast<double>(bytes) / (1 << 20), std::strerror(errno));
  std::memcpy(base, &length, sizeof(length));
  return Buffer(base + kHeader, bytes, release);
}

std::byte* CpuContext::scratch(int64_t bytes) {
  if (scratch_.bytes() < bytes) {
    scratch_ = Buffer();
    scratch_ = allocate_host(std::max(bytes, int64_t{1} << 16));
  }
  return scratch_.data();
}

}  // namespace llmpq
