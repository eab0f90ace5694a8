// y = x W^T for integer weights and many rows of x (a prefill step), on Hopper: the packed weights
// are read once or twice and dequantized in registers. matmul_wgmma_kernel.cuh explains how;
// matmul_wgmma_none.cu is there for builds without compute capability 9.0.
#pragma once

#include "kernels/cuda/context.cuh"

namespace llmpq::cuda {

/// Whether this build and the context's device have such products: the device must have compute
/// capability 9.0, neither more nor less.
bool has_wgmma(const StreamContext&);

/// Tokens of a piece of work: one of two, or the one that choose_cut() guesses to be faster.
enum class WgmmaTokens : uint8_t { kGuessed, k128, k256 };

/// Any number of tokens; args.w has integers. args.activation is not looked at: x and q * scale are
/// rounded to `inputs`, kBf16 or kF16, and multiplied, with sums in f32. Takes scratch memory.
void matmul_wgmma(StreamContext&, const LinearArgs& args, DType inputs, WgmmaTokens);

}  // namespace llmpq::cuda
