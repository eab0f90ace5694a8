// y = x W^T for few rows of x (a decode step): the weights are read once, at the speed of memory,
// and dequantized in registers. matmul_few_rows_kernel.cuh explains how.
#pragma once

#include "kernels/cuda/context.cuh"
#include "kernels/cuda/matmul_few_rows_cut.hpp"

namespace llmpq::cuda {

/// Whether there is such a kernel for inputs rounded to kBf16 or kF16: bf16 needs code for compute
/// capability 8.0, f16 for 7.5.
bool has_few_rows(const StreamContext&, DType inputs);

struct FewRowsWay {
  FewRowsBlocks blocks;
  /// Weights are asked for beyond what a block has room for, while it waits for x.
  bool ahead;
};

/// Integer weights and at most kMostFewRows tokens. args.activation is not looked at: x is rounded
/// to `inputs`. A row's result depends neither on how many rows there are, nor on way.ahead.
void matmul_few_rows(StreamContext&, const LinearArgs& args, DType inputs, FewRowsWay way);

}  // namespace llmpq::cuda
