#include "settings.hpp"

#include <cstdlib>
#include <string>

#include "cuda_runtime_api.h"
#include "runtime.hpp"
#include "warp.hpp"

namespace llmpq::emulated {
namespace {

/// The architecture that the device code was compiled as, "900".
constexpr int kCode = __CUDA_ARCH__ / 10;
constexpr long kMostNumber = 1 << 20;
constexpr size_t kDriverBytes = size_t{512} << 20;  ///< taken before the first allocation

Device make_device(size_t index, int compute_capability) {
  // CUDA C++ Programming Guide, technical specifications by compute capability, in KiB.
  struct Row {
    int compute_capability, sm_shared, block_shared;
  };
  constexpr Row kRows[] = {{60, 64, 48},   {70, 96, 96},    {75, 64, 64},
                           {80, 164, 163}, {86, 100, 99},   {89, 100, 99},
                           {90, 228, 227}, {100, 228, 227}, {120, 100, 99}};
  static const Numbers sms("LLMPQ_EMULATED_SMS", 24, 1, 1000);
  static const Numbers memory_mib("LLMPQ_EMULATED_MEMORY", 16384, 1024, kMostNumber);
  static const Numbers taken_mib("LLMPQ_EMULATED_TAKEN", 0, 0, kMostNumber);
  for (const Row& row : kRows) {
    if (row.compute_capability != compute_capability) continue;
    const size_t total = static_cast<size_t>(memory_mib.of(index)) << 20;
    const size_t taken = (static_cast<size_t>(taken_mib.of(index)) << 20) + kDriverBytes;
    return {static_cast<int>(index),      compute_capability,     static_cast<int>(sms.of(index)),
            row.sm_shared << 10,          row.block_shared << 10, total,
            taken < total ? taken : total};
  }
  fail("LLMPQ_EMULATED_GPU: no compute capability %d (60, 70, 75, 80, 86, 89, 90, 100, 120)",
       compute_capability);
}

std::vector<Device> make_devices() {
  const Numbers wanted("LLMPQ_EMULATED_GPU", kCode, 60, 120);
  std::vector<Device> machine;
  for (const long compute_capability : wanted.list())
    machine.push_back(make_device(machine.size(), static_cast<int>(compute_capability)));
  if (std::getenv("CUDA_VISIBLE_DEVICES") == nullptr) return machine;
  if (*std::getenv("CUDA_VISIBLE_DEVICES") == 0) return {};
  std::vector<Device> seen;
  const Numbers visible("CUDA_VISIBLE_DEVICES", 0, 0, kMostNumber);
  for (const long index : visible.list()) {
    if (index >= static_cast<long>(machine.size())) break;  // as CUDA does, which hides the rest
    seen.push_back(machine[static_cast<size_t>(index)]);
  }
  return seen;
}

}  // namespace

Numbers::Numbers(const char* variable, long otherwise, long least, long most) {
  const char* text = std::getenv(variable);
  if (text == nullptr) {
    list_ = {otherwise};
    return;
  }
  for (const char* at = text;; ++at) {
    char* end = nullptr;
    list_.push_back(std::strtol(at, &end, 10));
    if (end == at || (*end != 0 && *end != ',') || list_.back() < least || list_.back() > most)
      fail("%s=%s: want numbers from %ld to %ld, parted by commas", variable, text, least, most);
    if (*end == 0) return;
    at = end;
  }
}

int driver_version() {
  static const Numbers wish("LLMPQ_EMULATED_DRIVER", CUDART_VERSION, 0, 99999);
  return static_cast<int>(wish.of(0));
}

const std::vector<Device>& devices() {
  static const std::vector<Device> made = make_devices();
  return made;
}

}  // namespace llmpq::emulated
