#include "profile/product_bench.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace llmpq {
namespace {

/// A recording is made when its key has come up so often; then come the runs that count.
constexpr int kWarmups = 3, kRepeats = 4;
constexpr double kRepeatSeconds = 1e-3;
constexpr int64_t kMostPasses = 100;

class ProductBench {
 public:
  ProductBench(const std::vector<TimedProduct>& products, const ProductBenchSetup& setup,
               Backend& backend, Context& context)
      : products_(products),
        setup_(setup),
        backend_(backend),
        context_(context),
        there_(backend.product_kernels(context, setup.activation)),
        key_(setup.recordings_from) {}

  std::vector<ProductTiming> run() {
    for (const int64_t rows : timed_rows(setup_.most_rows))
      for (const TimedProduct& product : products_)
        if (setup_.now() < setup_.end_s) time_kernels(product, rows);
    backend_.choose_products({});
    return std::move(timings_);
  }

 private:
  void time_kernels(const TimedProduct& product, int64_t rows) {
    const Matrix& w = *product.matrices.at(0);
    const ProductSize size{w.format, w.n, w.k, rows};
    std::vector<ProductKernel> kernels;
    for (const ProductKernelInfo& each : kProductKernels)
      if (may_run(each.kernel, rows, there_)) kernels.push_back(each.kernel);
    if (kernels.size() < 2) return;
    const bool in_layer = rows <= kMostFewRows;
    backend_.choose_products({});
    const double others_s = in_layer ? pass_seconds(rows, nullptr, &product) : 0;
    for (const ProductKernel kernel : kernels) {
      const ProductChoice line{w.format, w.n, w.k, kAnyRows, kernel};
      backend_.choose_products(std::span(&line, 1));
      const double all_s = pass_seconds(rows, in_layer ? nullptr : &product, nullptr);
      const auto count = static_cast<double>(product.matrices.size());
      timings_.push_back({size, kernel, std::max(0.0, all_s - others_s) / count});
    }
  }

  /// The quietest pass over all products, `only` one or all `but` one of them.
  double pass_seconds(int64_t rows, const TimedProduct* only, const TimedProduct* but) {
    const uint64_t key = key_++;
    const auto pass = [&] {
      for (size_t layer = 0; layer < products_.at(0).matrices.size(); ++layer)
        for (const TimedProduct& product : products_)
          if (&product != but && (only == nullptr || &product == only))
            queue(product, *product.matrices.at(layer), rows);
    };
    const auto timed = [&](int64_t passes) {
      const double began_s = setup_.now();
      for (int64_t i = 0; i < passes; ++i) context_.run_recorded(key, pass);
      context_.synchronize();
      return (setup_.now() - began_s) / static_cast<double>(passes);
    };
    timed(kWarmups);
    const double once_s = timed(1);
    const auto passes =
        std::clamp(static_cast<int64_t>(std::ceil(kRepeatSeconds / std::max(once_s, 1e-9))),
                   int64_t{1}, kMostPasses);
    double least_s = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kRepeats; ++i) least_s = std::min(least_s, timed(passes));
    return least_s;
  }

  void queue(const TimedProduct& product, const Matrix& w, int64_t rows) {
    LinearArgs args{.x = product.x,
                    .w = &w,
                    .bias = nullptr,
                    .activation = setup_.activation,
                    .tokens = rows,
                    .y = product.y,
                    .y_stride = w.n};
    const DType type = backend_.ops().input_type(context_, args);
    if (type != DType::kF32) args.rounded = {type, product.x};
    backend_.ops().linear(context_, args);
  }

  const std::vector<TimedProduct>& products_;
  const ProductBenchSetup& setup_;
  Backend& backend_;
  Context& context_;
  ProductKernelSet there_;
  uint64_t key_;
  std::vector<ProductTiming> timings_;
};

}  // namespace

std::vector<int64_t> timed_rows(int64_t most_rows) {
  std::vector<int64_t> rows;
  for (const int64_t each : {16, 512, 64, 1, 256, 1024, 128, 2048})
    if (each <= most_rows) rows.push_back(each);
  return rows;
}

std::vector<ProductTiming> time_products(const std::vector<TimedProduct>& products,
                                         const ProductBenchSetup& setup, Backend& backend,
                                         Context& context) {
  return ProductBench(products, setup, backend, context).run();
}

}  // namespace llmpq
