// bf16 products of a CPU with AVX-512, with and without the instruction for pairs of them: the bits
// are the plain ones. For x86-64 only.
#include <gtest/gtest.h>

#include "tiles_case.hpp"

namespace llmpq::test {
namespace {

TEST(Avx512Bf16Product, GivesThePlainBits) {
  if (!has_isa("vnni")) GTEST_SKIP() << "this CPU has no vnni";
  expect_plain_bits(kernels_avx512(), Format::kBf16);
}

/// The kernels that a process gets; those without pairs where the CPU multiplies them otherwise.
TEST(Avx512Bf16PairProduct, GivesThePlainBits) {
  if (!has_isa("vnni")) GTEST_SKIP() << "this CPU has no vnni";
  const KernelTable& table = kernels(Isa::kVnni);
  if (table.matmul_bf16_pairs == nullptr)
    GTEST_SKIP() << "without avx512_bf16, or with one that is not used: " << left_out(Isa::kVnni);
  EXPECT_EQ(left_out(Isa::kVnni), "");
  EXPECT_EQ(bf16_difference_of_avx512(), nullptr);
  expect_plain_bits(table, Format::kBf16);
  expect_exact_ends(table, Format::kBf16);
}

}  // namespace
}  // namespace llmpq::test
