#include "kernels/cpu/lanes_avx512.hpp"

#include "kernels/cpu/kernels_all.hpp"
#include "kernels/cpu/pack_tile_avx512.hpp"

namespace llmpq {

const KernelTable& kernels_avx512() {
  static const KernelTable table = [] {
    KernelTable fast = kTable;
    fast.pack_tile = pack_tile_avx512;
    return fast;
  }();
  return table;
}

}  // namespace llmpq
