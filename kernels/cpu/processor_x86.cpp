// x86-64, from its baseline (SSE2) to AMX.
#include <cpuid.h>
#include <fmt/format.h>
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

/// Whether all features of leaf 7's register EDX are there.
bool has_features(unsigned wanted) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & wanted) == wanted;
}

/// Linux hands out the tile registers only to processes that ask (arch_prctl).
bool has_amx() {
  constexpr unsigned kTile = 1u << 24, kInt8 = 1u << 25;
  if (!has_vnni() || !has_features(kTile | kInt8)) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

std::string look_for_bf16_tiles() {
  constexpr unsigned kBf16 = 1u << 22;
  if (!has_amx()) return {};
  if (!has_features(kBf16)) return "this CPU's tiles do not multiply bf16 numbers (no amx_bf16)";
  const char* const difference = bf16_difference_of_amx();
  if (difference == nullptr) return {};
  return fmt::format(
      "this CPU's tiles do not multiply bf16 numbers as documented (seen with {}), so they are not "
      "used for them",
      difference);
}

/// With bf16 products on tiles where they may be.
const KernelTable& kernels_of_tiles() {
  return why_no_bf16_tiles().empty() ? kernels_amx_bf16() : kernels_amx();
}

const PeakLoops& peak_loops_of_tiles() {
  return why_no_bf16_tiles().empty() ? peak_loops_amx_bf16() : peak_loops_amx();
}

}  // namespace

std::span<const CompiledIsa> compiled_isas() {
  static constexpr CompiledIsa kIsas[] = {
      {Isa::kPlain, [] { return true; }, kernels_plain, peak_loops_plain},
      {Isa::kAvx2, has_avx2, kernels_avx2, peak_loops_avx2},
      {Isa::kVnni, has_vnni, kernels_avx512, peak_loops_vnni},
      {Isa::kAmx, has_amx, kernels_of_tiles, peak_loops_of_tiles},
  };
  return kIsas;
}

std::string why_no_bf16_tiles() {
  static const std::string why = look_for_bf16_tiles();
  return why;
}

}  // namespace llmpq
