// Matrices that lie in the registers of a warp, after PTX ISA, "Warp-level matrix instructions":
// lane 4 g + t has rows g and g + 8 of A and of the sums, column g of B. Functions of 32 lanes'
// registers; nothing here knows of threads.
#pragma once

#include <array>
#include <cstdint>

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

/// A of mma.m16n8k16 and wgmma: [row][k].
using MatrixA = std::array<std::array<float, 16>, 16>;
/// B of kColumns: [k][column].
template <int kColumns>
using MatrixB = std::array<std::array<float, kColumns>, 16>;

/// Register i: row g + 8 (i % 2), columns 2 t + 8 (i / 2) and the next.
template <Half kType>
MatrixA matrix_a(const OfLanes<uint32_t, 4>& a) {
  MatrixA rows;
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 8; ++i)
      rows[lane / 4 + i / 2 % 2 * 8][lane % 4 * 2 + i / 4 * 8 + i % 2] =
          half_of<kType>(a[lane][i / 2], i % 2);
  return rows;
}

/// Register i: rows 2 t + 8 i and the next, column g.
template <Half kType>
MatrixB<8> matrix_b(const OfLanes<uint32_t, 2>& b) {
  MatrixB<8> rows;
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i)
      rows[lane % 4 * 2 + i / 2 * 8 + i % 2][lane / 4] = half_of<kType>(b[lane][i / 2], i % 2);
  return rows;
}

/// sums += A B of a warp, over inputs [begin, end) of the 16. Lane 4 g + t has at sums[lane]
/// numbers 4 j + i of row g + 8 (i / 2) and column 8 j + 2 t + i % 2. Products are exact; their sum
/// is cut once: PTX leaves rounding and order open.
template <int kColumns>
void add_product(const MatrixA& a, const MatrixB<kColumns>& b, int begin, int end,
                 float* const (&sums)[32]) {
  for (int row = 0; row < 16; ++row) {
    const auto sum_at = [&](int column) -> float& {
      return sums[row % 8 * 4 + column % 8 / 2][column / 8 * 4 + row / 8 * 2 + column % 2];
    };
    double total[kColumns];
    for (int column = 0; column < kColumns; ++column) total[column] = sum_at(column);
    for (int k = begin; k < end; ++k) {
      const double x = a[row][k];
      for (int column = 0; column < kColumns; ++column) total[column] += x * b[k][column];
    }
    for (int column = 0; column < kColumns; ++column) sum_at(column) = cut_to_float(total[column]);
  }
}

/// mma.m16n8k16; kStep 8: as two mma.m16n8k8, whose registers are halves of its.
template <Half kType, int kStep = 16>
void multiply_m16n8k16(const OfLanes<uint32_t, 4>& a, const OfLanes<uint32_t, 2>& b,
                       float* const (&sums)[32]) {
  const MatrixA left = matrix_a<kType>(a);
  const MatrixB<8> right = matrix_b<kType>(b);
  for (int k = 0; k < 16; k += kStep) add_product<8>(left, right, k, k + kStep, sums);
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
