#include "kernels/cpu/isa.hpp"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr std::string_view kNames[] = {"plain", "avx2", "vnni", "amx"};

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

std::string_view name(Isa isa) { return kNames[static_cast<size_t>(isa)]; }

std::vector<Isa> available_isas() {
  std::vector<Isa> isas{Isa::kPlain};
  if (has_avx2()) isas.push_back(Isa::kAvx2);
  if (has_vnni()) isas.push_back(Isa::kVnni);
  if (has_amx()) isas.push_back(Isa::kAmx);
  return isas;
}

Isa choose_isa(const std::string& text) {
  const std::vector<Isa> isas = available_isas();
  if (text == "auto") return isas.back();
  const auto* const found = std::find(std::begin(kNames), std::end(kNames), text);
  CHECK(found != std::end(kNames), Exit::kUsage,
        "--isa: unknown instruction set '{}'; want auto, plain, avx2, vnni or amx", text);
  const Isa isa = static_cast<Isa>(found - std::begin(kNames));
  CHECK(std::find(isas.begin(), isas.end(), isa) != isas.end(), Exit::kUsage,
        "--isa {}: this CPU does not have it; the best it has is {}", text, name(isas.back()));
  return isa;
}

}  // namespace llmpq
