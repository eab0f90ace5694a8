// Observers for Calibration: what goes into one product of a layer, and into each of its experts.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/cpu/thread_pool.hpp"
#include "layer/gptq.hpp"
#include "layer/host_rows.hpp"
#include "layer/observer.hpp"

namespace llmpq {

/// Adds up the Hessian of one product.
class ProductInputs final : public LayerObserver {
 public:
  ProductInputs(Product wanted, int64_t inputs, Backend& backend, ThreadPool& pool)
      : wanted_(wanted), on_host_(backend), pool_(pool), hessian_(inputs) {}

  void see_product(Context& context, const ProductRun& run) override {
    if (run.product != wanted_) return;
    on_host_.for_each_piece(
        context, run.x, run.rows, run.inputs,
        [&](const float* x, int64_t rows) { hessian_.add_rows(x, rows, pool_); });
  }
  void see_hidden(Context&, int64_t, const float*, int64_t, int64_t) override {}
  std::vector<double> take() { return hessian_.take(pool_); }

 private:
  Product wanted_;
  HostRows on_host_;
  ThreadPool& pool_;
  InputHessian hessian_;
};

/// Keeps the rows that are routed to each expert of a layer. A Hessian for each at once would be
/// more than a host has: 8 times 1.6 GB for Mixtral's.
class ExpertInputs final : public LayerObserver {
 public:
  ExpertInputs(int64_t experts, Backend& backend)
      : on_host_(backend), pieces_(static_cast<size_t>(experts)) {}

  void see_product(Context& context, const ProductRun& run) override {
    if (run.product != Product::kUp) return;
    auto& pieces = pieces_.at(static_cast<size_t>(run.expert));
    on_host_.for_each_piece(
        context, run.x, run.rows, run.inputs,
        [&](const float* x, int64_t rows) { pieces.emplace_back(x, x + rows * run.inputs); });
  }
  void see_hidden(Context&, int64_t, const float*, int64_t, int64_t) override {}

  /// [rows, hidden] of an expert, in the order in which they passed; they are kept no longer.
  std::vector<float> take(int64_t expert) {
    std::vector<float> all;
    for (const auto& piece : std::exchange(pieces_.at(static_cast<size_t>(expert)), {}))
      all.insert(all.end(), piece.begin(), piece.end());
    return all;
  }

 private:
  HostRows on_host_;
  std::vector<std::vector<std::vector<float>>> pieces_;  ///< by expert, exactly as large as needed
};

}  // namespace llmpq
