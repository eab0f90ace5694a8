#include "kernels/cpu/lanes_plain.hpp"

#include "kernels/cpu/kernels_all.hpp"

namespace llmpq {

const KernelTable& kernels_plain() { return kTable; }

}  // namespace llmpq
