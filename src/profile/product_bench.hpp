// Times the kernels that may run a layer's products with integer weights, on the device and the
// layers at hand. Which of them are taken then is choose_products()'s (kernels/product_kernels).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/timer.hpp"
#include "kernels/backend.hpp"

namespace llmpq {

/// One product of a layer, in all layers at hand: their matrices are alike. x [most_rows, k] and
/// y [most_rows, n] in device memory; what stands in y afterwards is of no meaning. Products that
/// take rounded rows, as they do in a layer, read what stands in x as such.
struct TimedProduct {
  std::vector<const Matrix*> matrices;
  float* x = nullptr;
  float* y = nullptr;
};

struct ProductBenchSetup {
  ActivationType activation = ActivationType::kBf16;
  int64_t most_rows = 0;
  double end_s = 0;              ///< of now(): later nothing new is begun
  uint64_t recordings_from = 0;  ///< keys of Context::run_recorded() from here on are free
  std::function<double()> now = steady_seconds;
};

/// Numbers of rows that are timed, the most important ones first.
std::vector<int64_t> timed_rows(int64_t most_rows);

/// Few rows are timed within a layer: with all its products one after the other, as in a decode
/// step, less the time without the one in question; its weights then come from memory and not from
/// a cache. Leaves the backend with its usual kernels. Empty where there is no choice.
std::vector<ProductTiming> time_products(const std::vector<TimedProduct>& products,
                                         const ProductBenchSetup& setup, Backend& backend,
                                         Context& context);

}  // namespace llmpq
