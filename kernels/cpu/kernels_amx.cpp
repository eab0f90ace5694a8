#include "kernels/cpu/lanes_avx512.hpp"

#include "kernels/cpu/matmul_amx.hpp"
#include "kernels/cpu/matmul_amx_bf16.hpp"
#include "kernels/cpu/tile_order.hpp"
#include "kernels/cpu/tiles_amx.hpp"

namespace llmpq {

const KernelTable& kernels_amx() {
  static const KernelTable table = with_tiles<AmxTiles, kernels_avx512>();
  return table;
}

const KernelTable& kernels_amx_bf16() {
  static const KernelTable table = with_bf16_tiles<AmxTiles>(kernels_amx());
  return table;
}

const char* bf16_difference_of_amx() { return first_difference<AmxTiles>(); }

}  // namespace llmpq
