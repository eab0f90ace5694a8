// x86-64, from its baseline (SSE2) to AMX.
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu/processor.hpp"

namespace llmpq {
namespace {

bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx");
}

bool has_vnni() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

/// Linux hands out the tile registers only to processes that ask (arch_prctl).
bool has_amx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!has_vnni() || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  constexpr unsigned kTile = 1u << 24, kInt8 = 1u << 25, kBf16 = 1u << 22;
  constexpr unsigned kAll = kTile | kInt8 | kBf16;
  if ((d & kAll) != kAll) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

std::span<const CompiledIsa> compiled_isas() {
  static constexpr CompiledIsa kIsas[] = {
      {Isa::kPlain, [] { return true; }, kernels_plain, peak_loops_plain},
      {Isa::kAvx2, has_avx2, kernels_avx2, peak_loops_avx2},
      {Isa::kVnni, has_vnni, kernels_avx512, peak_loops_vnni},
      {Isa::kAmx, has_amx, kernels_amx, peak_loops_amx},
  };
  return kIsas;
}

}  // namespace llmpq
