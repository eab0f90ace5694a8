// Matrices of doubles: a product, and the Cholesky factorization made of it, for GPTQ. Each element
// is one chain of multiplications and additions in a fixed order, so results are the same bits on
// every machine and for any number of threads; libraries choose the order by the sizes of caches.
#pragma once

#include <cstdint>

#include "kernels/cpu/thread_pool.hpp"

namespace llmpq {

/// Element (i, j) is data[i * row_stride + j * column_stride].
struct DenseView {
  const double* data;
  int64_t row_stride;
  int64_t column_stride = 1;
};

/// A part of a row-major matrix that is written.
struct DenseBlock {
  double* data;
  int64_t stride;  ///< from row to row
  int64_t rows, columns;
};

/// c += sign * a b with a [c.rows, depth] and b [depth, c.columns]; `sign` is 1 or -1. Terms are
/// added one after the other, so cutting c or the depth into pieces does not change a bit.
void add_product(const DenseBlock& c, const DenseView& a, const DenseView& b, int64_t depth,
                 double sign);

/// Rows of a symmetric matrix that one thread updates at a time.
inline constexpr int64_t kDenseRows = 64;

/// h = U U^T with U upper triangular: the upper triangle of h [n, n] is read and becomes U, what is
/// below stays. Column by column from the last one, since U is what GPTQ needs in the order from
/// the first column to the last. Error(kInternal) if h is not positive definite.
void factor_upper(double* h, int64_t n, ThreadPool& pool);

}  // namespace llmpq
