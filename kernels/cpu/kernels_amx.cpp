#include "kernels/cpu/lanes_avx512.hpp"

#include "kernels/cpu/matmul_amx.hpp"
#include "kernels/cpu/tiles_amx.hpp"

namespace llmpq {

const KernelTable& kernels_amx() {
  static const KernelTable table = with_tiles<AmxTiles, kernels_avx512>();
  return table;
}

}  // namespace llmpq
