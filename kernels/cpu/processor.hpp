// What there is for the processor that this program is compiled for: processor_x86.cpp, or
// processor_other.cpp with the plain kernels alone; kernels/CMakeLists.txt takes one of the two.
#pragma once

#include <span>
#include <string>

#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/peak_loops.hpp"

namespace llmpq {

/// An instruction set that kernels and loops were compiled for.
struct CompiledIsa {
  Isa isa;
  bool (*is_here)();  ///< whether this CPU and its operating system have it
  const KernelTable& (*kernels)();
  const PeakLoops& (*peak_loops)();
};

/// From the plainest, which is always here, to the best.
std::span<const CompiledIsa> compiled_isas();

/// Why kernels(Isa::kAmx) multiply bf16 numbers without tiles, as a sentence; empty where they use
/// them, and where there is no AMX.
std::string why_no_bf16_tiles();

/// Why kernels(Isa::kVnni) and those of kAmx do not multiply pairs of bf16 numbers although there
/// is an instruction for it; empty where they do, and where there is none.
std::string why_no_bf16_pairs();

}  // namespace llmpq
