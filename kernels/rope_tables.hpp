// The cosine and sine tables that Ops::rope reads; the same for every backend.
#pragma once

#include <cstdint>

namespace llmpq {

/// cosine[p, i] = cos(a) * attention_factor and sine likewise, for p < positions and i < half, with
/// the angle a = float(p) * inv_freq[i] rounded to f32. Range reduction and polynomials in double,
/// without libm's sin and cos: within 1 ulp of f32 (before the factor) while a < 2^30, the same
/// bits on every machine. Both tables are [positions, half] floats in host memory.
void rope_tables(float* cosine, float* sine, int64_t positions, int64_t half, const float* inv_freq,
                 float attention_factor);

}  // namespace llmpq
