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

/// Features of CPUID leaf 7.
struct Features {
  unsigned a = 0, b = 0, c = 0, d = 0;
};
Features features(unsigned subleaf) {
  Features has;
  __get_cpuid_count(7, subleaf, &has.a, &has.b, &has.c, &has.d);
  return has;
}

/// Linux hands out the tile registers only to processes that ask (arch_prctl).
bool has_amx() {
  constexpr unsigned kTile = 1u << 24, kInt8 = 1u << 25;
  if (!has_vnni() || (~features(0).d & (kTile | kInt8)) != 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_bf16_tiles() { return has_amx() && (features(0).d & 1u << 22) != 0; }
bool has_bf16_pairs() { return has_vnni() && (features(1).a & 1u << 5) != 0; }

/// Looked at once: it takes milliseconds.
const char* difference_of_tiles() {
  static const char* const difference = has_bf16_tiles() ? bf16_difference_of_amx() : nullptr;
  return difference;
}
const char* difference_of_pairs() {
  static const char* const difference = has_bf16_pairs() ? bf16_difference_of_avx512() : nullptr;
  return difference;
}

bool uses_bf16_tiles() { return has_bf16_tiles() && difference_of_tiles() == nullptr; }
bool uses_bf16_pairs() { return has_bf16_pairs() && difference_of_pairs() == nullptr; }

const KernelTable& kernels_of_vnni() {
  return uses_bf16_pairs() ? kernels_avx512_bf16() : kernels_avx512();
}

/// bf16 products of few rows are of pairs where they may be, those of many on tiles.
const KernelTable& kernels_of_amx() {
  static const KernelTable table = [] {
    KernelTable both = uses_bf16_tiles() ? kernels_amx_bf16() : kernels_amx();
    both.matmul_bf16_pairs = kernels_of_vnni().matmul_bf16_pairs;
    both.round_row_to_pairs = kernels_of_vnni().round_row_to_pairs;
    return both;
  }();
  return table;
}

const PeakLoops& peak_loops_of_vnni() {
  return uses_bf16_pairs() ? peak_loops_avx512_bf16() : peak_loops_vnni();
}

const PeakLoops& peak_loops_of_amx() {
  static const PeakLoops loops = [] {
    if (uses_bf16_tiles()) return peak_loops_amx_bf16();
    PeakLoops without = peak_loops_amx();
    without.dot_bf16 = peak_loops_of_vnni().dot_bf16;
    without.bf16_products_of_round = peak_loops_of_vnni().bf16_products_of_round;
    return without;
  }();
  return loops;
}

}  // namespace

std::span<const CompiledIsa> compiled_isas() {
  static constexpr CompiledIsa kIsas[] = {
      {Isa::kPlain, [] { return true; }, kernels_plain, peak_loops_plain},
      {Isa::kAvx2, has_avx2, kernels_avx2, peak_loops_avx2},
      {Isa::kVnni, has_vnni, kernels_of_vnni, peak_loops_of_vnni},
      {Isa::kAmx, has_amx, kernels_of_amx, peak_loops_of_amx},
  };
  return kIsas;
}

std::string why_no_bf16_tiles() {
  if (!has_amx() || uses_bf16_tiles()) return {};
  if (!has_bf16_tiles()) return "this CPU's tiles do not multiply bf16 numbers (no amx_bf16)";
  return fmt::format(
      "this CPU's tiles do not multiply bf16 numbers as documented (seen with {}), so they are not "
      "used for them",
      difference_of_tiles());
}

std::string why_no_bf16_pairs() {
  if (!has_bf16_pairs() || uses_bf16_pairs()) return {};
  return fmt::format(
      "this CPU's avx512_bf16 does not multiply as documented (seen with {}), so it is not used",
      difference_of_pairs());
}

}  // namespace llmpq
