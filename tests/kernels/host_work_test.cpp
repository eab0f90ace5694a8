// What the kernel tables bring beside a backend's operations: the same bits on every instruction
// set.
#include <gtest/gtest.h>

#include <cstring>

#include "kernels/convert.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "support.hpp"

namespace llmpq::test {
namespace {

/// `values` behind `shift` bytes, as files have them.
template <typename T>
std::vector<std::byte> bytes_of(const std::vector<T>& values, size_t shift) {
  std::vector<std::byte> bytes(shift + values.size() * sizeof(T));
  std::memcpy(bytes.data() + shift, values.data(), values.size() * sizeof(T));
  return bytes;
}

template <typename T>
void expect_widened(DType type, const std::vector<T>& from, const std::vector<float>& wanted) {
  for (const Isa isa : available_isas())
    for (const size_t shift : {0, 1, 2}) {
      std::vector<float> got(from.size());
      kernels(isa).widen(type, bytes_of(from, shift).data() + shift, std::ssize(from), got.data());
      EXPECT_EQ(std::memcmp(got.data(), wanted.data(), wanted.size() * sizeof(float)), 0)
          << name(isa) << ", " << shift << " bytes further";
    }
}

TEST(Widen, EveryHalfAtEveryPlaceOnEveryInstructionSet) {
  std::vector<uint16_t> halves(65535);  // an odd number: there are ends
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  std::vector<float> of_bf16, of_f16;
  for (const uint16_t bits : halves) {
    of_bf16.push_back(bf16_to_f32(bits));
    of_f16.push_back(f16_to_f32(bits));
  }
  expect_widened(DType::kBf16, halves, of_bf16);
  expect_widened(DType::kF16, halves, of_f16);
  expect_widened(DType::kF32, of_f16, of_f16);
}

TEST(DenseTile, IsAChainOfProductsAndSums) {
  constexpr int64_t kDepth = 37, kRows = kDenseTileRows, kColumns = kDenseTileColumns;
  Random random(3);
  const auto numbers = [&](int64_t count) {
    std::vector<double> values(static_cast<size_t>(count));
    for (double& value : values) value = double{random.uniform()} / 3;  // no product is exact
    return values;
  };
  const std::vector<double> a = numbers(kDepth * kRows), b = numbers(kDepth * kColumns),
                            before = numbers(kRows * kColumns);
  std::vector<double> wanted = before;
  for (int64_t i = 0; i < kRows; ++i)
    for (int64_t j = 0; j < kColumns; ++j)
      for (int64_t l = 0; l < kDepth; ++l) {
        const volatile double product = a[l * kRows + i] * b[l * kColumns + j];  // rounded
        wanted[i * kColumns + j] += product;
      }
  for (const Isa isa : available_isas()) {
    std::vector<double> tile = before;
    kernels(isa).add_dense_tile(a.data(), b.data(), kDepth, tile.data());
    EXPECT_EQ(tile, wanted) << name(isa);
  }
}

TEST(BestKernels, AreThoseOfTheBestInstructionSetHere) {
  EXPECT_EQ(&best_kernels(), &kernels(available_isas().back()));
}

}  // namespace
}  // namespace llmpq::test
