#include "kernels/cpu/lanes_avx512.hpp"

#include "kernels/cpu/kernels_all.hpp"

namespace llmpq {

const KernelTable& kernels_avx512() { return kTable; }

}  // namespace llmpq
