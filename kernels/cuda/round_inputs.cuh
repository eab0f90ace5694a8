// Rounding of the inputs of a product, x f32 [tokens, k], into scratch memory. Inputs past k, up to
// a multiple of a group, become zeros.
#pragma once

#include "kernels/cuda/context.cuh"

namespace llmpq::cuda {

/// Inputs of a product as rows, each a multiple of 16 bytes from the one before.
struct InputRows {
  const void* x;
  int64_t stride;  ///< numbers from row to row: k, or with the zeros behind it
};
/// In bf16 or f16: args.rounded if there are such rows, else rounded from args.x to rows [tokens,
/// groups * 128] at `to`.
InputRows rounded_inputs(StreamContext&, const LinearArgs& args, DType type, void* to);

/// To bf16 or f16 in the order of wgmma's B operand in shared memory: [64 inputs][tile of 8 tokens]
/// 1024 bytes, a token's 64 inputs in 128 bytes a row. Part p (16 bytes) of row r lies at p ^ r,
/// and is, of span p / 4 of the two: inputs 8 i + 2 (p % 4) and the next one, i < 4. So in every
/// step of 16 a token's inputs have the order of the packed weights' (layout.hpp). Tokens that
/// there are not are left as they were.
void round_to_swizzled(StreamContext&, const float* x, int64_t tokens, int64_t k, DType type,
                       void* to);

/// f32 [tokens, groups * 128]: x itself, or through int8 with one scale per token and group
/// (absmax / 127, ties to even; the scale is NaN if an input is not finite) as q * scale.
void copy_to_rows(StreamContext&, const float* x, int64_t tokens, int64_t k, bool through_int8,
                  float* to);

}  // namespace llmpq::cuda
