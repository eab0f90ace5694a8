#include "kernels/cpu/lanes_avx512.hpp"
// The lanes come first: every kernel is written with their names.
#include "kernels/cpu/matmul_bf16_pairs.hpp"
#include "kernels/cpu/pairs_avx512.hpp"
#include "kernels/cpu/tile_order.hpp"
#include "kernels/cpu/tiles_of_pairs.hpp"

namespace llmpq {

const KernelTable& kernels_avx512_bf16() {
  static const KernelTable table = with_bf16_pairs<Avx512Pairs>(kernels_avx512());
  return table;
}

const char* bf16_difference_of_avx512() { return first_difference<TilesOfPairs<Avx512Pairs>>(); }

}  // namespace llmpq
