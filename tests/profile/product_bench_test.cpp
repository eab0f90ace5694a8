// Timing and choosing of product kernels, on a CPU that pretends to have a GPU's.
#include "profile/product_bench.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/timer.hpp"
#include "profile/layer_bench.hpp"
#include "profile/tiny_measure.hpp"

namespace llmpq {
namespace {

/// The CPU, whose products take longer by a time that depends on the chosen kernel.
class PretendedGpu final : public Backend {
 public:
  explicit PretendedGpu(std::vector<ProductKernel> kernels)
      : cpu_(make_cpu_backend(1, "auto")), ops_(cpu_->ops()) {
    for (const ProductKernel kernel : kernels) there_.add(kernel);
    linear_of_cpu = ops_.linear;
    it = this;
    ops_.linear = [](Context& context, const LinearArgs& args) {
      const Matrix& w = *args.w;
      const ProductKernel kernel =
          kernel_for(it->lines, {w.format, w.n, w.k, args.tokens}, it->there_);
      const double takes_s = it->seconds[static_cast<size_t>(kernel)];
      const double end_s = steady_seconds() + takes_s;
      it->clock_s += takes_s;
      it->run |= uint32_t{1} << static_cast<int>(kernel);
      linear_of_cpu(context, args);
      while (it->waits && !is_16bit(w.format) && steady_seconds() < end_s) {
      }
    };
  }

  BackendKind kind() const override { return BackendKind::kCpu; }
  const Ops& ops() const override { return ops_; }
  DeviceInfo device() const override { return cpu_->device(); }
  std::unique_ptr<Context> make_context() override { return cpu_->make_context(); }
  ActivationType default_activation(Format f) const override { return cpu_->default_activation(f); }
  ProductKernelSet product_kernels(Context&, ActivationType) const override { return there_; }
  void choose_products(std::span<const ProductChoice> chosen) override {
    lines.assign(chosen.begin(), chosen.end());
  }
  Buffer allocate(int64_t bytes) override { return cpu_->allocate(bytes); }
  Buffer allocate_staging(int64_t bytes) override { return cpu_->allocate_staging(bytes); }
  void copy_to_device(Context& c, void* to, const void* from, int64_t bytes) override {
    cpu_->copy_to_device(c, to, from, bytes);
  }
  void copy_to_host(Context& c, void* to, const void* from, int64_t bytes) override {
    cpu_->copy_to_host(c, to, from, bytes);
  }
  void pack_rows(Context& c, Matrix& w, int64_t begin, int64_t rows, const float* values) override {
    cpu_->pack_rows(c, w, begin, rows, values);
  }
  void pack_scaled_rows(Context& c, Matrix& w, int64_t begin, int64_t rows, const float* values,
                        const float* scales) override {
    cpu_->pack_scaled_rows(c, w, begin, rows, values, scales);
  }

  std::vector<ProductChoice> lines;
  std::array<double, kProductKernels.size()> seconds{};
  bool waits = true;   ///< as long as the products take; else only clock_s knows
  double clock_s = 0;  ///< the products' seconds so far
  uint32_t run = 0;    ///< kernels that have run, a bit for each

 private:
  static inline PretendedGpu* it = nullptr;
  static inline decltype(Ops::linear) linear_of_cpu = nullptr;
  std::unique_ptr<Backend> cpu_;
  Ops ops_;
  ProductKernelSet there_;
};

/// In which kernels are chosen.
MeasureSetup choosing_setup() {
  MeasureSetup setup = small_setup();
  setup.limits = {16, 8, 32};
  setup.budget_s = 0.5;
  setup.choose_products = true;
  return setup;
}

Measurements measured(PretendedGpu& gpu, const MeasureSetup& setup) {
  Turns turns([](double value) { return value; });
  return measure(tiny(), setup, gpu, turns);
}

/// A product of made-up weights, in two layers.
struct SmallProduct {
  SmallProduct(Backend& backend, Context& context, int64_t n, int64_t k)
      : x(backend.allocate(64 * k * 4)), y(backend.allocate(64 * n * 4)) {
    const std::vector<float> values(static_cast<size_t>(n * k), 0.5f);
    for (Matrix& w : layers) {
      w.format = Format::kW4;
      w.n = n;
      w.k = k;
      w.packed = backend.allocate(backend.packed_bytes(w.format, n, k));
      backend.pack_rows(context, w, 0, n, values.data());
    }
  }
  TimedProduct timed() { return {{&layers[0], &layers[1]}, x.as<float>(), y.as<float>()}; }

  Buffer x, y;
  std::array<Matrix, 2> layers;
};

TEST(ProductBench, TellsTheSecondsOfEachKernelAlone) {
  PretendedGpu gpu({ProductKernel::kFewRows, ProductKernel::kFewRowsAhead});
  gpu.waits = false;
  gpu.seconds[static_cast<size_t>(ProductKernel::kFewRows)] = 4e-4;
  gpu.seconds[static_cast<size_t>(ProductKernel::kFewRowsAhead)] = 1e-4;
  const auto context = gpu.make_context();
  SmallProduct wide(gpu, *context, 32, 16), narrow(gpu, *context, 16, 32);
  const auto timings = time_products({wide.timed(), narrow.timed()},
                                     {.activation = ActivationType::kInt8,
                                      .most_rows = 64,
                                      .end_s = 1e9,
                                      .now = [&] { return gpu.clock_s; }},
                                     gpu, *context);
  EXPECT_EQ(timings.size(), 3u * 2u * 2u) << "16, 64 and 1 rows, two products, two kernels";
  for (const ProductTiming& each : timings)
    EXPECT_NEAR(each.seconds, gpu.seconds[static_cast<size_t>(each.kernel)], 1e-9);
  EXPECT_TRUE(gpu.lines.empty()) << "timing itself decides nothing";
  EXPECT_THAT(
      choose_products(timings),
      testing::ElementsAre(ProductChoice{Format::kW4, 16, 32, 64, ProductKernel::kFewRowsAhead},
                           ProductChoice{Format::kW4, 32, 16, 64, ProductKernel::kFewRowsAhead}));
}

TEST(ProductBench, ALayersFourProductsAreTimed) {
  PretendedGpu gpu({ProductKernel::kFewRows, ProductKernel::kFewRowsAhead});
  const LayerBench::Setup setup{
      .layers = 2,
      .format = Format::kW4,
      .activation = ActivationType::kInt8,
      .sizes = {.max_rows = 1, .max_samples = 1, .max_model_len = 32, .kv_block_tokens = 16},
      .kv_blocks = 1,
      .slowdown = {}};
  const ModelConfig config = bench_config(tiny(), 2, 64);
  LayerBench bench(config, setup, gpu);
  std::vector<int64_t> outputs;
  for (const ProductTiming& each : bench.time_products(steady_seconds() + 60))
    if (each.kernel == ProductKernel::kFewRows) outputs.push_back(each.size.n);
  EXPECT_THAT(outputs, testing::ElementsAre(config.qkv_rows(), config.hidden, config.up_rows(),
                                            config.hidden));
}

TEST(ProductBench, LayersAreMeasuredWithTheKernelsThatWereChosen) {
  PretendedGpu gpu({ProductKernel::kFewRows, ProductKernel::kFewRowsAhead});
  gpu.seconds[static_cast<size_t>(ProductKernel::kFewRows)] = 4e-4;
  const Measurements found = measured(gpu, choosing_setup());
  ASSERT_FALSE(found.products.empty());
  EXPECT_EQ(gpu.lines, found.products);
}

TEST(ProductBench, NothingIsTimedWhereNothingIsToBeChosen) {
  PretendedGpu one({ProductKernel::kFewRows});
  EXPECT_TRUE(measured(one, choosing_setup()).products.empty()) << "a single kernel";
  PretendedGpu gpu({ProductKernel::kFewRows, ProductKernel::kFewRowsAhead});
  MeasureSetup setup = choosing_setup();
  setup.choose_products = false;
  gpu.lines = {{Format::kW4, 1, 1, 1, ProductKernel::kFewRowsAhead}};
  EXPECT_TRUE(measured(gpu, setup).products.empty());
  EXPECT_TRUE(gpu.lines.empty()) << "what was chosen before is void";
  EXPECT_EQ(gpu.run, uint32_t{1} << static_cast<int>(ProductKernel::kFewRows));
}

TEST(ProductBench, OutOfTimeTheUsualKernelsStay) {
  PretendedGpu gpu({ProductKernel::kFewRows, ProductKernel::kFewRowsAhead});
  const auto context = gpu.make_context();
  const std::vector<TimedProduct> products(1);
  EXPECT_TRUE(time_products(products, {.most_rows = 64, .end_s = 0}, gpu, *context).empty());
}

TEST(ProductBench, TheMostTellingRowsComeFirst) {
  EXPECT_THAT(timed_rows(64), testing::ElementsAre(16, 64, 1));
  EXPECT_EQ(timed_rows(4096).front(), 16);
  EXPECT_EQ(timed_rows(4096).at(1), 512);
}

}  // namespace
}  // namespace llmpq
