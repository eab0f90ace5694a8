// Pairs of bf16 numbers and their products in plain C++: twin of pairs_avx512.hpp, for the tests of
// a kernel that wants them. Comes after a lanes_*.hpp.
#pragma once

#include "kernels/convert.hpp"
#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

struct PlainPairs {
  struct Pairs {
    uint16_t v[2 * kLanes];
  };

  static void sort(const uint8_t* packed, Pairs& even, Pairs& odd) {
    uint16_t in[2][2 * kLanes];
    __builtin_memcpy(in, packed, sizeof(in));
    for (int i = 0; i < 2 * kLanes; i += 2) {
      even.v[i] = in[1][i];
      even.v[i + 1] = in[0][i];
      odd.v[i] = in[1][i + 1];
      odd.v[i + 1] = in[0][i + 1];
    }
  }
  static Pairs load(const uint8_t* p) {
    Pairs pairs;
    __builtin_memcpy(pairs.v, p, sizeof(pairs.v));
    return pairs;
  }
  static void store(uint8_t* p, const Pairs& pairs) {
    __builtin_memcpy(p, pairs.v, sizeof(pairs.v));
  }
  static F32x16 dot(F32x16 sum, const Pairs& w, const uint16_t* x) {
    for (const int half : {1, 0}) {
      float of_half[kLanes];
      for (int i = 0; i < kLanes; ++i) of_half[i] = bf16_to_f32(w.v[2 * i + half]);
      sum = fma_flushed(broadcast(bf16_to_f32(x[half])), llmpq::load(of_half), sum);
    }
    return sum;
  }
};

}  // namespace
}  // namespace llmpq
