// The matrix product of the CPU: rounds the inputs, then spreads panels over the threads.
#pragma once

#include "kernels/ops.hpp"

namespace llmpq {

/// Ops::linear. The weights' format and `activation` choose the arithmetic:
/// integer weights with kInt8: integer dot products per group (matmul_groups.hpp); bf16 weights
/// with kBf16: pairs of chains over blocks of 32 inputs (matmul_bf16.hpp); everything else: an f32
/// fma chain (matmul_float.hpp) over inputs that were rounded to f32, bf16, f16 or int8 before.
void linear(Context& context, const LinearArgs& args);

/// Scratch memory that inputs [tokens, k] take as int8 with their scales and sums.
int64_t rounded_input_bytes(int64_t tokens, int64_t k);
/// The same as bf16 for a tile unit or for products of pairs.
int64_t bf16_input_bytes(int64_t tokens, int64_t k);

}  // namespace llmpq
