// GPTQ (Frantar et al., arXiv 2210.17323): integers for a weight matrix such that its outputs
// change least on the inputs that were seen, not its weights. Rows are independent; column after
// column is rounded, and what rounding did to the outputs is made up for by the columns that
// follow.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/thread_pool.hpp"
#include "kernels/formats.hpp"

namespace llmpq {

/// H = sum over tokens of x x^T of the inputs x that a product has seen. Memory: 8 bytes times
/// inputs^2, and a few hundred rows.
class InputHessian {
 public:
  explicit InputHessian(int64_t inputs);
  int64_t inputs() const { return inputs_; }
  int64_t tokens() const { return tokens_; }
  /// `x`: [rows, inputs]. The result is the same bits however the rows are cut.
  void add_rows(const float* x, int64_t rows, ThreadPool& pool);
  /// H [inputs, inputs]: the upper triangle counts. Nothing may be added after.
  std::vector<double> take(ThreadPool& pool);

 private:
  void flush(ThreadPool& pool);

  int64_t inputs_, tokens_ = 0, waiting_ = 0;
  std::vector<double> sum_;
  std::vector<double> rows_;  ///< [waiting_, inputs] that are not in the sum yet
};

/// Rounds rows of one matrix. The loss that is made small, for each row: (w - q) H (w - q)^T with
/// the damped H = hessian + kDamping * mean(diagonal) * I.
///
/// With H = U U^T, U upper triangular, the loss is the sum over columns i of (sum_{j <= i} e_j
/// U_ji)^2, e = w - q. So column i, after those before it, is best rounded from
///   v_i = w_i + (sum_{j < i} e_j U_ji) / U_ii,
/// which is what the paper's updates by the inverse of H come to, without an inverse (Chee et al.,
/// QuIP, arXiv 2307.13304, theorem 6). Columns are taken from the first to the last, as in the
/// paper. At the first column of a group of 128, the scale is the largest magnitude / max_abs of
/// the group's weights as updated so far.
class Gptq {
 public:
  static constexpr double kDamping = 0.01;  ///< the paper's

  /// Takes `hessian` [inputs, inputs] over and factors it. Error(kModel) if it is not finite.
  Gptq(std::vector<double> hessian, int64_t inputs, ThreadPool& pool);

  int64_t inputs() const { return inputs_; }

  /// `values` [rows, inputs] are weights and become integers times scales; `scales` [rows, groups].
  /// Integer formats only. Several threads may call it at once.
  void round_rows(Format format, int64_t rows, std::span<float> values,
                  std::span<float> scales) const;

 private:
  struct Group;
  void round_group(const Group& group) const;

  int64_t inputs_;
  std::vector<double> factor_;  ///< U in the upper triangle
};

}  // namespace llmpq
