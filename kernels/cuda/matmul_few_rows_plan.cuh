// What a kernel of few rows is told: its cut (matmul_few_rows_cut.hpp), and where everything is.
#pragma once

#include <cstddef>

#include "kernels/cuda/context.cuh"
#include "kernels/cuda/matmul_few_rows_cut.hpp"
#include "kernels/cuda/tile.cuh"

namespace llmpq::cuda {

struct FewRowsTask : FewRowsCut {
  const std::byte* weights;
  const uint4* x;  ///< [tokens, x_eights] eight inputs each
  int x_eights;    ///< past its end inputs are zeros
  int64_t n;
  int tokens, token_tiles;
  float4* partials;    ///< [token part, range, 2 pieces, tile of the set, token tile, lane]
  unsigned* counters;  ///< [token part, set, warp]: pieces that are done; zero before and after
  const float* bias;
  float* y;
  int64_t y_stride;
};

}  // namespace llmpq::cuda
