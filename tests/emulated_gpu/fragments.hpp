// Matrices that lie in the registers of a warp, after PTX ISA, "Warp-level matrix instructions":
// lane 4 g + t has rows g and g + 8 of A and of the sums, column g of B. Functions of 32 lanes'
// registers; nothing here knows of threads.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "halves.hpp"

namespace llmpq::emulated {

/// What each lane has: kCount registers.
template <typename T, int kCount>
using OfLanes = T[32][kCount];

/// The low or the high number of a register.
template <Half kType>
float half_of(uint32_t pair, int high) {
  return widened<kType>(static_cast<uint16_t>(pair >> 16 * high));
}

/// Rows of 16 numbers that are multiplied.
using Rows16 = std::vector<std::array<float, 16>>;

/// A of mma.m16n8k16 and wgmma, 16 x 16. Register i: row g + 8 (i % 2), columns 2 t + 8 (i / 2) and
/// the next.
template <Half kType>
Rows16 matrix_a(const OfLanes<uint32_t, 4>& a) {
  Rows16 rows(16);
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 8; ++i)
      rows[lane / 4 + i / 2 % 2 * 8][lane % 4 * 2 + i / 4 * 8 + i % 2] =
          half_of<kType>(a[lane][i / 2], i % 2);
  return rows;
}

/// B of mma.m16n8k16, its 8 columns as rows. Register i: rows 2 t + 8 i and the next, column g.
template <Half kType>
Rows16 matrix_b(const OfLanes<uint32_t, 2>& b) {
  Rows16 columns(8);
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i)
      columns[lane / 4][lane % 4 * 2 + i / 2 * 8 + i % 2] = half_of<kType>(b[lane][i / 2], i % 2);
  return columns;
}

/// sums += A B^T of a warp, over inputs [begin, end) of the 16. Lane 4 g + t has at sums[lane]
/// numbers 4 j + i of row g + 8 (i / 2) and row 8 j + 2 t + i % 2 of b. Products are exact; their
/// sum is cut once: PTX leaves rounding and order open.
inline void add_product(const Rows16& a, const Rows16& b, int begin, int end,
                        float* const (&sums)[32]) {
  for (int lane = 0; lane < 32; ++lane) {
    for (size_t i = 0; i < b.size() / 2; ++i) {
      const auto& x = a[lane / 4 + i / 2 % 2 * 8];
      const auto& y = b[i / 4 * 8 + lane % 4 * 2 + i % 2];
      double sum = sums[lane][i];
      for (int k = begin; k < end; ++k) sum += static_cast<double>(x[k]) * y[k];
      sums[lane][i] = cut_to_float(sum);
    }
  }
}

/// mma.m16n8k16; kStep 8: as two mma.m16n8k8, whose registers are halves of its.
template <Half kType, int kStep = 16>
void multiply_m16n8k16(const OfLanes<uint32_t, 4>& a, const OfLanes<uint32_t, 2>& b,
                       float* const (&sums)[32]) {
  const Rows16 left = matrix_a<kType>(a), right = matrix_b<kType>(b);
  for (int k = 0; k < 16; k += kStep) add_product(left, right, k, k + kStep, sums);
}

/// ldmatrix.x4: rows[i] is row i % 8 of matrix i / 8, eight halves. Lane 4 g + t gets of each
/// matrix elements 2 t and 2 t + 1 of row g; transposed: of column g.
inline void load_four_matrices(const uint16_t* const (&rows)[32], bool transposed,
                               OfLanes<uint32_t, 4>& to) {
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) {
      const auto* matrix = rows + 8 * i;
      const uint32_t low = transposed ? matrix[2 * t][g] : matrix[g][2 * t];
      const uint32_t high = transposed ? matrix[2 * t + 1][g] : matrix[g][2 * t + 1];
      to[lane][i] = low | high << 16;
    }
  }
}

}  // namespace llmpq::emulated
