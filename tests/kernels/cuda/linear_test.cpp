// Products on a GPU: every format and activation type, shapes for each of its kernels, against
// double sums over the numbers as they are multiplied.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/convert.hpp"
#include "kernels/cuda/gpu.hpp"
#include "kernels/cuda/tolerance_linear.hpp"

namespace llmpq::test {
namespace {

struct Shape {
  int64_t tokens, n, k;
};

struct Case {
  Format format;
  ActivationType activation;
  Shape shape;
};

constexpr ActivationType kActivations[] = {ActivationType::kF32, ActivationType::kBf16,
                                           ActivationType::kF16, ActivationType::kInt8};

std::string label(const Case& c) {
  constexpr const char* kNames[] = {"f32", "bf16", "f16", "int8"};
  return std::string(name(c.format)) + "_" + kNames[static_cast<size_t>(c.activation)] + "_" +
         std::to_string(c.shape.tokens) + "x" + std::to_string(c.shape.n) + "x" +
         std::to_string(c.shape.k);
}

/// Odd ones; each number of token tiles of the few-rows kernel, and one row more than it takes; few
/// outputs with many groups, so that slices are added; weights in several pieces (k far from a
/// multiple of a group). Of Hopper's kernel for many rows: one tile of tokens, exactly, and a bit
/// more or less; outputs that end within a tile, a warp's and a cluster's; slices.
std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const FormatInfo& format : kFormats)
    for (const ActivationType activation : kActivations)
      for (const Shape& shape :
           {Shape{1, 1, 1},        Shape{2, 3, 5},        Shape{5, 17, 127},
            Shape{13, 33, 129},    Shape{97, 40, 131},    Shape{7, 192, 512},
            Shape{2, 2048, 5632},  Shape{3, 48, 9001},    Shape{16, 200, 1024},
            Shape{17, 160, 640},   Shape{33, 144, 896},   Shape{64, 208, 2048},
            Shape{65, 144, 896},   Shape{200, 64, 20},    Shape{512, 256, 384},
            Shape{128, 17, 128},   Shape{256, 128, 1000}, Shape{257, 1024, 192},
            Shape{700, 500, 1000}, Shape{72, 127, 2100}})
        cases.push_back({format.format, activation, shape});
  return cases;
}

/// How a product is computed on this GPU (kernels/cuda/linear.cu).
struct Way {
  DType type;           ///< of the numbers that are multiplied
  bool packed_weights;  ///< integers are multiplied as they are, and scaled afterwards
};

bool is_few(const Case& c) { return !is_16bit(c.format) && c.shape.tokens <= kMostFewRows; }

Way way_of(const Case& c, int compute_capability) {
  if (c.activation == ActivationType::kF32 || c.activation == ActivationType::kInt8)
    return {DType::kF32, false};
  const bool bf16 = c.activation == ActivationType::kBf16 && compute_capability >= 80;
  const bool few = is_few(c) && compute_capability >= 75;
  return {bf16 ? DType::kBf16 : DType::kF16, few};
}

double rounded(float value, DType type) {
  if (type == DType::kBf16) return bf16_to_f32(f32_to_bf16(value));
  if (type == DType::kF16) return f16_to_f32(f32_to_f16(value));
  return value;
}

/// Row `x` as the product sees it.
std::vector<double> inputs_of(const float* x, int64_t k, const Case& c, const Way& way) {
  std::vector<double> result(static_cast<size_t>(k));
  for (int64_t i = 0; i < k; ++i) result[i] = rounded(x[i], way.type);
  if (c.activation != ActivationType::kInt8) return result;
  for (int64_t begin = 0; begin < k; begin += kGroup) {
    const int64_t end = std::min(k, begin + kGroup);
    float largest = 0;
    for (int64_t i = begin; i < end; ++i) largest = std::max(largest, std::fabs(x[i]));
    const float scale = largest / 127.0f;
    for (int64_t i = begin; i < end; ++i)
      result[i] = scale > 0 ? std::nearbyint(x[i] / scale) * static_cast<double>(scale) : 0.0;
  }
  return result;
}

/// Results with their closed form; of large products a share, every row and output among them.
struct Checked {
  std::vector<float> actual;
  std::vector<double> wanted, allowed;
};

class Problem {
 public:
  Problem(const Case& which, Backend& gpu, Context& stream, Machine& cpu)
      : c(which), gpu_(gpu), stream_(stream) {
    Random random(static_cast<uint64_t>(c.shape.n * 1000 + c.shape.k));
    const std::vector<float> weights = random.vector(c.shape.n * c.shape.k, 0.7f);
    x = random.vector(c.shape.tokens * c.shape.k, 3.0f);
    bias = random.vector(c.shape.n, 0.5f);
    on_cpu_ = packed_matrix(cpu, c.format, c.shape.n, c.shape.k, weights);
    w_.format = c.format;
    w_.n = c.shape.n;
    w_.k = c.shape.k;
    w_.packed = gpu.allocate(gpu.packed_bytes(c.format, w_.n, w_.k));
    gpu.pack_rows(stream, w_, 0, w_.n, weights.data());
    way_ = way_of(c, gpu.device().compute_capability);
  }

  /// Rows [begin, end) computed by themselves; y has a stride of its own, and what lies between
  /// the rows must stay untouched.
  std::vector<float> run(int64_t begin, int64_t end, bool with_bias) const {
    const int64_t n = c.shape.n, k = c.shape.k, stride = n + 3, tokens = end - begin;
    OnDevice<float> inputs(gpu_, stream_,
                           std::vector<float>(x.begin() + begin * k, x.begin() + end * k));
    OnDevice<float> added(gpu_, stream_, bias);
    OnDevice<float> outputs(gpu_, stream_,
                            std::vector<float>(static_cast<size_t>(tokens * stride), -77.0f));
    gpu_.ops().linear(stream_, {inputs.data(), &w_, with_bias ? added.data() : nullptr,
                                c.activation, tokens, outputs.data(), stride});
    const std::vector<float> y = outputs.values();
    std::vector<float> result;
    for (int64_t t = 0; t < tokens; ++t) {
      result.insert(result.end(), y.begin() + t * stride, y.begin() + t * stride + n);
      for (int64_t i = n; i < stride; ++i) EXPECT_EQ(y[t * stride + i], -77.0f);
    }
    return result;
  }

  /// A product of all tokens from and to device memory, without its bias.
  void queue(const float* from, float* to) const {
    gpu_.ops().linear(stream_, {from, &w_, nullptr, c.activation, c.shape.tokens, to, c.shape.n});
  }

  Checked check(const std::vector<float>& y) const {
    constexpr int64_t kMostProducts = 2'000'000;
    const auto [tokens, n, k] = c.shape;
    const int64_t step = std::min(tokens, 1 + tokens * n * k / kMostProducts);
    std::vector<std::vector<double>> inputs;
    for (int64_t t = 0; t < tokens; ++t) inputs.push_back(inputs_of(x.data() + t * k, k, c, way_));
    std::vector<float> row(static_cast<size_t>(k));
    Checked result;
    for (int64_t o = 0; o < n; ++o) {
      unpack_row(on_cpu_, o, row.data());
      if (!way_.packed_weights || is_16bit(c.format))
        for (float& value : row) value = static_cast<float>(rounded(value, way_.type));
      for (int64_t t = o % step; t < tokens; t += step) {
        double total = bias[o], magnitudes = std::fabs(bias[o]);
        for (int64_t i = 0; i < k; ++i) {
          const double product = inputs[t][i] * row[i];
          total += product;
          magnitudes += std::fabs(product);
        }
        result.actual.push_back(y[t * n + o]);
        result.wanted.push_back(total);
        result.allowed.push_back(way_.type == DType::kF32 ? f32_product_error(k, magnitudes)
                                                          : tensor_core_error(k, magnitudes));
      }
    }
    return result;
  }

  Case c;
  std::vector<float> x, bias;

 private:
  Backend& gpu_;
  Context& stream_;
  Matrix on_cpu_, w_;
  Way way_{};
};

class CudaLinearTest : public GpuTest, public testing::WithParamInterface<Case> {
 protected:
  static Problem problem() { return Problem(GetParam(), gpu(), stream(), cpu()); }
};

TEST_P(CudaLinearTest, MatchesTheDoubleSum) {
  const Problem p = problem();
  const std::vector<float> y = p.run(0, p.c.shape.tokens, true);
  for (const float value : y) ASSERT_TRUE(std::isfinite(value));
  const Checked checked = p.check(y);
  expect_close(
      checked.actual, checked.wanted, [&](size_t i) { return checked.allowed[i]; }, label(p.c));
}

/// Where rows are few, a row's bits depend neither on the other rows nor on the run.
TEST_P(CudaLinearTest, ARowIsTheSameAloneAndInABatchOfFew) {
  const Case& c = GetParam();
  const bool exact = c.activation == ActivationType::kF32 || c.activation == ActivationType::kInt8;
  if (exact || !is_few(c)) return;  // cuBLAS promises nothing
  const Problem p = problem();
  const auto [tokens, n, k] = c.shape;
  const std::vector<float> all = p.run(0, tokens, true);
  expect_same_bits(p.run(0, tokens, true), all, "again");
  const int64_t step = std::max<int64_t>(1, tokens / 4);
  for (int64_t t = 0; t < tokens; t += step) {
    const std::vector<float> row(all.begin() + t * n, all.begin() + (t + 1) * n);
    expect_same_bits(p.run(t, t + 1, true), row, "row " + std::to_string(t));
  }
}

INSTANTIATE_TEST_SUITE_P(All, CudaLinearTest, testing::ValuesIn(all_cases()),
                         [](const auto& info) { return label(info.param); });

using CudaLinear = GpuTest;

TEST_F(CudaLinear, NoBiasIsABiasOfZero) {
  for (const FormatInfo& format : kFormats)
    for (const int64_t tokens : {3, 100}) {
      Problem p({format.format, ActivationType::kF16, {tokens, 50, 300}}, gpu(), stream(), cpu());
      std::fill(p.bias.begin(), p.bias.end(), 0.0f);
      const std::vector<float> with = p.run(0, tokens, true), without = p.run(0, tokens, false);
      for (size_t i = 0; i < with.size(); ++i) ASSERT_EQ(with[i], without[i]) << format.name;
    }
}

/// Takes one kernel for all products with these sizes while it lives.
class Chosen {
 public:
  Chosen(Backend& gpu, const Case& c, ProductKernel kernel) : gpu_(gpu) {
    const ProductChoice line{c.format, c.shape.n, c.shape.k, kAnyRows, kernel};
    gpu_.choose_products(std::span(&line, 1));
  }
  ~Chosen() { gpu_.choose_products({}); }
  Chosen(const Chosen&) = delete;
  Chosen& operator=(const Chosen&) = delete;

 private:
  Backend& gpu_;
};

constexpr Format kIntegers[] = {Format::kW8, Format::kW4, Format::kW3};

/// The kernels that this GPU has for a case.
std::vector<ProductKernel> kernels_for(const Case& c, Backend& gpu, Context& stream) {
  const ProductKernelSet there = gpu.product_kernels(stream, c.activation);
  std::vector<ProductKernel> kernels;
  for (const ProductKernelInfo& each : kProductKernels)
    if (may_run(each.kernel, c.shape.tokens, there)) kernels.push_back(each.kernel);
  return kernels;
}

TEST_F(CudaLinear, EveryKernelMatchesTheDoubleSum) {
  int checked = 0;
  for (const Format format : kIntegers)
    for (const ActivationType activation : {ActivationType::kBf16, ActivationType::kF16})
      for (const Shape& shape :
           {Shape{1, 17, 127}, Shape{16, 200, 1024}, Shape{64, 4100, 640}, Shape{65, 144, 896},
            Shape{129, 300, 2100}, Shape{700, 500, 256}}) {
        const Case c{format, activation, shape};
        const Problem p(c, gpu(), stream(), cpu());
        for (const ProductKernel kernel : kernels_for(c, gpu(), stream())) {
          const Chosen chosen(gpu(), c, kernel);
          const Checked result = p.check(p.run(0, shape.tokens, true));
          expect_close(
              result.actual, result.wanted, [&](size_t i) { return result.allowed[i]; },
              label(c) + " " + std::string(name(kernel)));
          ++checked;
        }
      }
  EXPECT_GT(checked, 30);
}

/// Unit vectors times a matrix of all integers of a format, the one below too that given scales
/// may ask for: exactly the matrix.
TEST_F(CudaLinear, EveryKernelMultipliesByEachIntegerOfAFormat) {
  constexpr int64_t kOutputs = 48, kInputs = 300;
  std::vector<float> units(kInputs * kInputs, 0.0f);
  for (int64_t i = 0; i < kInputs; ++i) units[i * kInputs + i] = 1.0f;
  OnDevice<float> x(gpu(), stream(), units);
  for (const Format format : kIntegers) {
    const int limit = info(format).max_abs;
    std::vector<float> values;
    for (int64_t i = 0; i < kOutputs * kInputs; ++i)
      values.push_back(0.5f * static_cast<float>(i * 5 % (2 * limit + 2) - limit - 1));
    const std::vector<float> scales(kOutputs * groups_of(kInputs), 0.5f);
    Matrix w;
    w.format = format;
    w.n = kOutputs;
    w.k = kInputs;
    w.packed = gpu().allocate(gpu().packed_bytes(format, w.n, w.k));
    gpu().pack_scaled_rows(stream(), w, 0, w.n, values.data(), scales.data());
    for (const ActivationType activation : {ActivationType::kBf16, ActivationType::kF16})
      for (const int64_t tokens : {kMostFewRows, kInputs}) {
        const Case c{format, activation, {tokens, w.n, w.k}};
        for (const ProductKernel kernel : kernels_for(c, gpu(), stream())) {
          const Chosen chosen(gpu(), c, kernel);
          OnDevice<float> y(gpu(), stream(), std::vector<float>(tokens * w.n, -77.0f));
          gpu().ops().linear(stream(), {x.data(), &w, nullptr, activation, tokens, y.data(), w.n});
          const std::vector<float> actual = y.values();
          for (int64_t i = 0; i < tokens * w.n; ++i)
            ASSERT_EQ(actual[i], values[i % w.n * w.k + i / w.n])
                << label(c) << " " << name(kernel) << ", input " << i / w.n;
        }
      }
  }
}

/// For each number of tiles of tokens.
TEST_F(CudaLinear, ARowHasTheSameBitsInEveryBatchByEachKernelOfFewRows) {
  for (const Format format : kIntegers) {
    const Case c{format, gpu().default_activation(format), {64, 1100, 1300}};
    const Problem p(c, gpu(), stream(), cpu());
    for (const ProductKernel kernel : kernels_for(c, gpu(), stream())) {
      if (info(kernel).order == SumOrder::kByRows) continue;
      const Chosen chosen(gpu(), c, kernel);
      const std::vector<float> all = p.run(0, 64, true);
      for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 1}, {5, 20}, {40, 64}}) {
        const std::vector<float> rows(all.begin() + begin * c.shape.n,
                                      all.begin() + end * c.shape.n);
        expect_same_bits(p.run(begin, end, true), rows, label(c) + " " + std::string(name(kernel)));
      }
    }
  }
}

/// 12 products in a chain, each of what the one before left, as single launches and recorded: a
/// kernel that starts early must not see what is not there yet, and kernels of one order give the
/// same bits.
TEST_F(CudaLinear, KernelsOfOneOrderGiveTheSameBitsInAChain) {
  constexpr int64_t kWidth = 1536, kTokens = 5, kLinks = 12;
  if (gpu().device().compute_capability < 80) GTEST_SKIP() << "f16 overflows in such a chain";
  for (const Format format : kIntegers) {
    const Case c{format, ActivationType::kBf16, {kTokens, kWidth, kWidth}};
    Problem p(c, gpu(), stream(), cpu());
    const auto chain = [&](ProductKernel kernel, uint64_t recording) {
      const Chosen chosen(gpu(), c, kernel);
      OnDevice<float> a(gpu(), stream(), p.x), b(gpu(), stream(), p.x);
      const auto links = [&] {
        for (int i = 0; i < kLinks; ++i)
          p.queue(i % 2 == 0 ? a.data() : b.data(), i % 2 == 0 ? b.data() : a.data());
      };
      if (recording == 0) links();
      for (int i = 0; recording != 0 && i < 5; ++i) {
        gpu().copy_to_device(stream(), a.data(), p.x.data(), std::ssize(p.x) * int64_t{4});
        stream().run_recorded(recording, links);
      }
      return a.values();
    };
    for (const ProductKernel kernel : kernels_for(c, gpu(), stream())) {
      const ProductKernel plain =
          plain_kernel(info(kernel).order, kTokens, gpu().product_kernels(stream(), c.activation));
      const std::vector<float> wanted = chain(plain, 0);
      for (const float value : wanted) ASSERT_TRUE(std::isfinite(value));
      expect_same_bits(chain(kernel, 0), wanted, std::string(name(kernel)));
      const uint64_t recording =
          7777 + 100 * static_cast<uint64_t>(format) + static_cast<uint64_t>(kernel);
      expect_same_bits(chain(kernel, recording), wanted, std::string(name(kernel)) + ", recorded");
    }
  }
}

/// 3 rows for the few-rows kernel, 70 for cuBLAS or Hopper's kernel.
TEST_F(CudaLinear, AnInputThatIsNotFiniteShowsInItsRowOnly) {
  const int64_t n = 20, k = 150;
  for (const FormatInfo& format : kFormats)
    for (const ActivationType activation : kActivations)
      for (const int64_t tokens : {3, 70})
        for (const float bad : {std::nanf(""), INFINITY}) {
          Problem p({format.format, activation, {tokens, n, k}}, gpu(), stream(), cpu());
          p.x[k + 140] = bad;
          const std::vector<float> y = p.run(0, tokens, true);
          for (int64_t i = 0; i < tokens * n; ++i)
            ASSERT_EQ(std::isfinite(y[i]), i / n != 1) << label(p.c) << " " << bad << " " << i;
        }
}

TEST_F(CudaLinear, NoTokensIsNoWork) {
  const Problem p({Format::kW4, ActivationType::kBf16, {0, 16, 16}}, gpu(), stream(), cpu());
  EXPECT_TRUE(p.run(0, 0, true).empty());
}

}  // namespace
}  // namespace llmpq::test
