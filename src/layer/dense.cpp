#include "layer/dense.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/check.hpp"
#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

constexpr int64_t kRows = kDenseTileRows, kColumns = kDenseTileColumns;
constexpr int64_t kDepth = 128;        ///< of a and b that are in the caches
constexpr int64_t kPanelColumns = 64;  ///< columns that are factored at a time
static_assert(kPanelColumns % kDenseRows == 0);

/// The part of `from` with the corner (row, column), without gaps: [depth, width], its rows being
/// those of `from` or its columns; zeros beyond `wanted` of the width.
void copy_packed(const double* from, int64_t along, int64_t across, int64_t depth, int64_t wanted,
                 int64_t width, double sign, double* to) {
  for (int64_t l = 0; l < depth; ++l)
    for (int64_t i = 0; i < width; ++i)
      to[l * width + i] = i < wanted ? sign * from[l * along + i * across] : 0.0;
}

/// A tile of c, which may stick out beyond its end.
struct TileOfC {
  const DenseBlock& c;
  int64_t row, column;

  int64_t rows() const { return std::min(kRows, c.rows - row); }
  size_t row_bytes() const {
    return static_cast<size_t>(std::min(kColumns, c.columns - column)) * sizeof(double);
  }
  double* at(int64_t i) const { return c.data + (row + i) * c.stride + column; }
};

/// c += a b for packed a (of all rows of c) and b (of the tiles' columns).
void add_column(const DenseBlock& c, int64_t column, const double* a, const double* b,
                int64_t depth) {
  const KernelTable& kernels = best_kernels();
  for (int64_t row = 0; row < c.rows; row += kRows) {
    const TileOfC part{c, row, column};
    double tile[kRows * kColumns] = {};
    for (int64_t i = 0; i < part.rows(); ++i)
      std::memcpy(tile + i * kColumns, part.at(i), part.row_bytes());
    kernels.add_dense_tile(a + row * depth, b, depth, tile);
    for (int64_t i = 0; i < part.rows(); ++i)
      std::memcpy(part.at(i), tile + i * kColumns, part.row_bytes());
  }
}

/// U of a block on the diagonal: rows and columns [begin, end) of h.
void factor_corner(double* h, int64_t n, int64_t begin, int64_t end) {
  for (int64_t j = end - 1; j >= begin; --j) {
    double* const row = h + j * n;
    double square = row[j];
    for (int64_t l = j + 1; l < end; ++l) square -= row[l] * row[l];
    CHECK(square > 0 && std::isfinite(square), Exit::kInternal,
          "factor_upper: column {} of {} leaves {}, want a positive definite matrix", j, n, square);
    row[j] = std::sqrt(square);
    for (int64_t i = begin; i < j; ++i) {
      double value = h[i * n + j];
      for (int64_t l = j + 1; l < end; ++l) value -= h[i * n + l] * row[l];
      h[i * n + j] = value / row[j];
    }
  }
}

/// U in row i above the block.
void factor_row(double* h, int64_t n, int64_t i, int64_t begin, int64_t end) {
  double* const values = h + i * n;
  for (int64_t j = end - 1; j >= begin; --j) {
    const double* const row = h + j * n;
    for (int64_t l = j + 1; l < end; ++l) values[j] -= values[l] * row[l];
    values[j] /= row[j];
  }
}

}  // namespace

void add_product(const DenseBlock& c, const DenseView& a, const DenseView& b, int64_t depth,
                 double sign) {
  const int64_t tiles = (c.rows + kRows - 1) / kRows;
  std::vector<double> packed_a(static_cast<size_t>(tiles * kRows * kDepth));
  std::vector<double> packed_b(static_cast<size_t>(kColumns * kDepth));
  for (int64_t begin = 0; begin < depth; begin += kDepth) {
    const int64_t size = std::min(kDepth, depth - begin);
    for (int64_t row = 0; row < c.rows; row += kRows)
      copy_packed(a.data + row * a.row_stride + begin * a.column_stride, a.column_stride,
                  a.row_stride, size, c.rows - row, kRows, sign, packed_a.data() + row * size);
    for (int64_t column = 0; column < c.columns; column += kColumns) {
      copy_packed(b.data + begin * b.row_stride + column * b.column_stride, b.row_stride,
                  b.column_stride, size, c.columns - column, kColumns, 1, packed_b.data());
      add_column(c, column, packed_a.data(), packed_b.data(), size);
    }
  }
}

void factor_upper(double* h, int64_t n, ThreadPool& pool) {
  for (int64_t begin = (n - 1) / kPanelColumns * kPanelColumns; begin >= 0;
       begin -= kPanelColumns) {
    const int64_t end = std::min(n, begin + kPanelColumns);
    factor_corner(h, n, begin, end);
    pool.parallel_for(begin, kDenseRows, [&](int64_t i, int64_t last, int) {
      for (; i < last; ++i) factor_row(h, n, i, begin, end);
    });
    const DenseView panel{h + begin, n};  // columns of the block, all rows above it
    const DenseView across{h + begin, 1, n};
    pool.parallel_for(begin / kDenseRows, 1, [&](int64_t part, int64_t last, int) {
      for (; part < last; ++part) {
        const int64_t row = part * kDenseRows;
        add_product({h + row * n + row, n, kDenseRows, begin - row},
                    {panel.data + row * n, panel.row_stride},
                    {across.data + row * n, across.row_stride, across.column_stride}, end - begin,
                    -1);
      }
    });
  }
}

}  // namespace llmpq
