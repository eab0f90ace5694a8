// The comparison of a tile unit's bf16 products with the documented order: units that differ from
// it in one thing are found, and the one that does not is not.
#include "kernels/cpu/tile_order.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <string>

namespace llmpq::test {
namespace {

using testing::AnyOf;
using testing::StrEq;

/// A unit that computes each of its sums by Order::product(c, x [32], w [32]).
template <typename Order>
class OtherTiles : public PlainTiles {
 public:
  template <int c, int a, int b>
  void dot_bf16() {
    OrderCase numbers;
    store<c>(numbers.c, 64);
    store<a>(numbers.x, 64);
    store<b>(numbers.w, 64);
    for (int64_t m = 0; m < kOrderRows; ++m)
      for (int64_t n = 0; n < kOrderRows; ++n) {
        float x[kOrderInputs], w[kOrderInputs];
        for (int64_t i = 0; i < kOrderInputs; ++i) {
          x[i] = bf16_to_f32(numbers.x[m][i]);
          w[i] = bf16_to_f32(numbers.w[i / 2][2 * n + i % 2]);
        }
        const float sum = Order::product(__builtin_bit_cast(float, numbers.c[m][n]), x, w);
        numbers.c[m][n] = __builtin_bit_cast(uint32_t, sum);
      }
    load<c>(numbers.c, 64);
  }
};

struct Documented {
  static float product(float c, const float* x, const float* w) {
    float even = 0, odd = 0;
    for (int64_t i = 0; i < kOrderInputs; i += 2) even = fma_flushed(x[i], w[i], even);
    for (int64_t i = 1; i < kOrderInputs; i += 2) odd = fma_flushed(x[i], w[i], odd);
    return add_flushed(c, add_flushed(even, odd));
  }
};

struct OneChain {
  static float product(float c, const float* x, const float* w) {
    for (int64_t i = 0; i < kOrderInputs; ++i) c = fma_flushed(x[i], w[i], c);
    return c;
  }
};

struct ChainsFromTheSum {
  static float product(float c, const float* x, const float* w) {
    float odd = 0;
    for (int64_t i = 0; i < kOrderInputs; i += 2) c = fma_flushed(x[i], w[i], c);
    for (int64_t i = 1; i < kOrderInputs; i += 2) odd = fma_flushed(x[i], w[i], odd);
    return add_flushed(c, odd);
  }
};

struct InDouble {
  static float product(float c, const float* x, const float* w) {
    double sum = c;
    for (int64_t i = 0; i < kOrderInputs; ++i) sum += static_cast<double>(x[i]) * w[i];
    return without_denormal(static_cast<float>(sum));
  }
};

struct WithDenormals {
  static float product(float c, const float* x, const float* w) {
    float chains[2] = {0, 0};
    for (int64_t i = 0; i < kOrderInputs; ++i) chains[i % 2] = std::fma(x[i], w[i], chains[i % 2]);
    return c + (chains[0] + chains[1]);
  }
};

struct WithDenormalInputs {
  static float product(float c, const float* x, const float* w) {
    float chains[2] = {0, 0};
    for (int64_t i = 0; i < kOrderInputs; ++i)
      chains[i % 2] = without_denormal(std::fma(x[i], w[i], chains[i % 2]));
    return add_flushed(c, add_flushed(chains[0], chains[1]));
  }
};

/// What is tiny before it is rounded counts as zero.
struct FlushedBeforeRounding {
  static float fma(float a, float b, float c) {
    const float rounded = fma_flushed(a, b, c);
    const double exact = static_cast<double>(a) * b + c;  // of the numbers at the edge
    return std::fabs(rounded) == kSmallestNormal && std::fabs(exact) < kSmallestNormal ? 0
                                                                                       : rounded;
  }
  static float product(float c, const float* x, const float* w) {
    float chains[2] = {0, 0};
    for (int64_t i = 0; i < kOrderInputs; ++i)
      chains[i % 2] = fma(without_denormal(x[i]), without_denormal(w[i]), chains[i % 2]);
    return add_flushed(c, add_flushed(chains[0], chains[1]));
  }
};

TEST(TileOrder, TheDocumentedOneIsAccepted) {
  EXPECT_EQ(first_difference<PlainTiles>(), nullptr);
  EXPECT_EQ(first_difference<OtherTiles<Documented>>(), nullptr);
}

TEST(TileOrder, AnyOtherIsFound) {
  EXPECT_STREQ(first_difference<OtherTiles<OneChain>>(), "ordinary numbers");
  EXPECT_STREQ(first_difference<OtherTiles<ChainsFromTheSum>>(), "ordinary numbers");
  EXPECT_STREQ(first_difference<OtherTiles<InDouble>>(), "ordinary numbers");
}

TEST(TileOrder, OtherWaysWithDenormalsAreFound) {
  EXPECT_THAT(first_difference<OtherTiles<WithDenormals>>(),
              AnyOf(StrEq("products that underflow"), StrEq("denormal inputs")));
  EXPECT_THAT(first_difference<OtherTiles<WithDenormalInputs>>(),
              AnyOf(StrEq("products that underflow"), StrEq("denormal inputs")));
  EXPECT_STREQ(first_difference<OtherTiles<FlushedBeforeRounding>>(), "sums next to 2^-126");
}

}  // namespace
}  // namespace llmpq::test
