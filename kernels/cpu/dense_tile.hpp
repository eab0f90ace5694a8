// Products of doubles, a tile at a time: what layer/dense is made of. Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

/// Eight doubles side by side; compilers make one, two or four instructions of each operation.
using EightDoubles = double __attribute__((vector_size(64)));

void add_dense_tile_kernel(const double* a, const double* b, int64_t depth, double* tile) {
  constexpr int64_t kRows = kDenseTileRows, kHalves = kDenseTileColumns / 8;
  EightDoubles sum[kRows][kHalves];
  __builtin_memcpy(sum, tile, sizeof(sum));
  for (int64_t l = 0; l < depth; ++l) {
    EightDoubles row[kHalves];
    __builtin_memcpy(row, b + l * kDenseTileColumns, sizeof(row));
    for (int64_t i = 0; i < kRows; ++i)
      for (int64_t half = 0; half < kHalves; ++half) sum[i][half] += a[l * kRows + i] * row[half];
  }
  __builtin_memcpy(tile, sum, sizeof(sum));
}

}  // namespace
}  // namespace llmpq
