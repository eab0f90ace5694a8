// Which instruction sets this process may use, and their names on the command line (--isa).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llmpq {

/// plain: C++ for any CPU (on x86-64 its baseline). avx2: AVX2, FMA, F16C. vnni: AVX-512
/// F/BW/CD/DQ/VL and VNNI, and BF16 where the CPU has it and multiplies as documented. amx: vnni
/// and AMX tiles with int8, which the kernel must grant, and with bf16 under the same conditions.
enum class Isa : uint8_t { kPlain, kAvx2, kVnni, kAmx };

std::string_view name(Isa isa);

/// What this program has kernels for and this CPU and operating system can run, from plain, which
/// is always there, to the best.
std::vector<Isa> available_isas();

/// The instruction set of a --isa value; "auto" is the best there is. Error(kUsage) for an unknown
/// name or one that this CPU lacks.
Isa choose_isa(const std::string& text);

/// What kernels of `isa` leave out on this CPU, and why, as a sentence; empty as a rule.
std::string left_out(Isa isa);

}  // namespace llmpq
