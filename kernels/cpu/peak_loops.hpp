// Loops that do nothing but load one unit of a CPU: what matrix products are held against. Each is
// run by one thread; kernels/peaks.cpp runs them on all threads and looks at the clock.
#pragma once

#include <cstdint>

#include "kernels/cpu/isa.hpp"

namespace llmpq {

/// The loops of an instruction set, and the work of one round of each.
struct PeakLoops {
  /// Reads all of `bytes` (a multiple of 256) from 64-byte aligned memory: the sum of its 64-bit
  /// numbers.
  uint64_t (*read)(const void* from, int64_t bytes);
  /// f32 multiply-adds acc = acc * 1 + 1 from registers, as wide as there are: the sum of all
  /// accumulators, which is the number of multiply-adds while it is exact (2^24 an accumulator).
  float (*fma)(int64_t rounds);
  int64_t fma_of_round;  ///< multiply-adds
  /// int8 products of ones, added up as int32: the sum of all accumulators, which is the number of
  /// products.
  int64_t (*dot_int8)(int64_t rounds);
  int64_t products_of_round;
  /// bf16 products of ones, added up as f32: the sum of all accumulators, which is the number of
  /// products while it is exact (2^24 an accumulator). Null where no unit has them.
  float (*dot_bf16)(int64_t rounds);
  int64_t bf16_products_of_round;
};

/// The loops of an instruction set. Error(kInternal) if nothing was compiled for it.
const PeakLoops& peak_loops(Isa isa);

const PeakLoops& peak_loops_plain();  ///< with what every CPU of this architecture has
const PeakLoops& peak_loops_avx2();
const PeakLoops& peak_loops_vnni();
const PeakLoops& peak_loops_avx512_bf16();  ///< peak_loops_vnni() with dot_bf16
const PeakLoops& peak_loops_amx();
const PeakLoops& peak_loops_amx_bf16();  ///< with dot_bf16

}  // namespace llmpq
