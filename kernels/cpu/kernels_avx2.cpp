#include "kernels/cpu/lanes_avx2.hpp"

#include "kernels/cpu/kernels_all.hpp"

namespace llmpq {

const KernelTable& kernels_avx2() { return kTable; }

}  // namespace llmpq
