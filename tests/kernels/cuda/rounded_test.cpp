// Rows that an operation rounds for the products behind it: the bits that a kernel of its own would
// make of its f32 rows, and products that give the same either way.
#include "kernels/check.hpp"
#include "kernels/cuda/attention_setup.hpp"

namespace llmpq::test {
namespace {

uint16_t rounded(float value, DType type) {
  return type == DType::kBf16 ? f32_to_bf16(value) : f32_to_f16(value);
}

class GpuRoundedTest : public GpuTest {
 protected:
  static OnDevice<float> put(const std::vector<float>& values) {
    return OnDevice<float>(gpu(), stream(), values);
  }
  /// What tensor cores of this GPU multiply.
  static std::vector<DType> types() {
    if (gpu().device().compute_capability < 80) return {DType::kF16};
    return {DType::kBf16, DType::kF16};
  }

  /// queue(y, rounded) queues an operation with one of both.
  template <typename Queue>
  static void expect_rounds(const std::string& what, size_t count, Queue queue) {
    auto y = put(std::vector<float>(count, -7.0f));
    queue(y.data(), RoundedRows{});
    const std::vector<float> wanted = y.values();
    for (const DType type : types()) {
      OnDevice<uint16_t> halves(gpu(), stream(), std::vector<uint16_t>(count, 0x1234));
      queue(nullptr, RoundedRows{type, halves.data()});
      const std::vector<uint16_t> actual = halves.values();
      for (size_t i = 0; i < count; ++i)
        ASSERT_EQ(actual[i], rounded(wanted[i], type))
            << what << ", " << name(type) << ", element " << i << ", " << wanted[i];
    }
  }
};

TEST_F(GpuRoundedTest, NormsAndActivationsRoundTheirRows) {
  constexpr int64_t kTokens = 7;
  for (const int64_t width : {8, 15, 192, 4096, 9001}) {
    Random random(static_cast<uint64_t>(width));
    auto x = put(random.vector(kTokens * 2 * width, 3.0f)), weight = put(random.vector(width)),
         bias = put(random.vector(width));
    for (const auto kind : {NormArgs::Kind::kRms, NormArgs::Kind::kLayer})
      expect_rounds("norm of " + std::to_string(width), static_cast<size_t>(kTokens * width),
                    [&](float* y, const RoundedRows& to) {
                      gpu().ops().norm(stream(), {kind, x.data(), nullptr, weight.data(),
                                                  bias.data(), 1e-5f, kTokens, width, y, to});
                    });
    for (const auto kind : {ActivationArgs::Kind::kSilu, ActivationArgs::Kind::kGeluTanh})
      expect_rounds(
          "activation of " + std::to_string(width), static_cast<size_t>(kTokens * width),
          [&](float* y, const RoundedRows& to) {
            gpu().ops().activation(stream(), {kind, true, x.data(), kTokens, width, y, 0.0f, to});
          });
  }
}

/// Prefill, decode in one piece and in several, and the plain way.
TEST_F(GpuRoundedTest, AttentionRoundsItsRows) {
  for (const DType type : {DType::kF32, DType::kBf16, DType::kF16, DType::kInt8}) {
    const Inputs in({type, 8, 2, 64, 16});
    HostCache host(in.s);
    fill(cpu(), in, host);
    GpuCache cache(gpu(), stream(), host);
    const Step step(in, host, {{0, 0, 70}, {1, 20, 1}, {0, 900, 1}});
    OnDevice<RowRange> at(gpu(), stream(), step.ranges);
    const RangeList ranges = step.list(at.data(), cache.table.data(), in.stride);
    auto rows = put(step.rows);
    expect_rounds("attention", static_cast<size_t>(ranges.rows * in.s.heads * in.s.head_dim),
                  [&](float* y, const RoundedRows& to) {
                    gpu().ops().attention(stream(),
                                          {rows.data(), in.stride, ranges, &cache.view, in.s.heads,
                                           in.scale, 0, nullptr, y, 0.0f, to});
                  });
  }
}

struct Product {
  Format format;
  ActivationType activation;
  int64_t tokens, n, k;
};

class GpuRoundedProducts : public GpuRoundedTest {
 protected:
  static Matrix matrix_of(const Product& p) {
    Matrix w;
    w.format = p.format;
    w.n = p.n;
    w.k = p.k;
    w.packed = gpu().allocate(gpu().packed_bytes(w.format, w.n, w.k));
    gpu().pack_rows(stream(), w, 0, w.n, Random(11).vector(w.n * w.k, 0.7f).data());
    return w;
  }
  static LinearArgs args_of(const Product& p, const Matrix& w) {
    return {.x = nullptr,
            .w = &w,
            .bias = nullptr,
            .activation = p.activation,
            .tokens = p.tokens,
            .y = nullptr,
            .y_stride = p.n};
  }
  static DType input_type(const Product& p) {
    const Matrix w = matrix_of(p);
    return gpu().ops().input_type(stream(), args_of(p, w));
  }
};

/// Each kernel of few rows, with inputs that end within a group, and cuBLAS.
TEST_F(GpuRoundedProducts, GiveTheBitsOfThoseThatRoundThemselves) {
  int checked = 0;
  for (const FormatInfo& format : kFormats)
    for (const ActivationType activation : {ActivationType::kBf16, ActivationType::kF16})
      for (const auto& [tokens, n, k] : {std::array<int64_t, 3>{1, 144, 512},
                                         {5, 40, 1000},
                                         {17, 200, 256},
                                         {64, 33, 904},
                                         {70, 144, 384}}) {
        const Product p{format.format, activation, tokens, n, k};
        const Matrix w = matrix_of(p);
        LinearArgs args = args_of(p, w);
        const DType type = gpu().ops().input_type(stream(), args);
        if (type == DType::kF32) continue;  // Hopper's own kernel
        const std::vector<float> x = Random(static_cast<uint64_t>(k)).vector(tokens * k, 3.0f);
        std::vector<uint16_t> halves;
        for (const float value : x) halves.push_back(rounded(value, type));
        auto on_device = put(x), y = put(std::vector<float>(static_cast<size_t>(tokens * n)));
        auto z = put(std::vector<float>(static_cast<size_t>(tokens * n)));
        OnDevice<uint16_t> rows(gpu(), stream(), halves);
        args.x = on_device.data();
        args.y = y.data();
        gpu().ops().linear(stream(), args);
        args.x = nullptr;
        args.y = z.data();
        args.rounded = {type, rows.data()};
        gpu().ops().linear(stream(), args);
        expect_same_bits(z.values(), y.values(),
                         std::string(format.name) + ", " + std::to_string(tokens) + " rows");
        ++checked;
      }
  EXPECT_GE(checked, 40);
}

TEST_F(GpuRoundedProducts, AreTakenWhereTheirRowsAreVectorsAndTheKernelReadsRows) {
  const DType usual =
      gpu().device().compute_capability < 80 ? DType::kF16 : DType::kBf16;  // of bf16 inputs
  const Product p{Format::kW4, ActivationType::kBf16, 4, 32, 256};
  EXPECT_EQ(input_type(p), usual);
  EXPECT_EQ(input_type({p.format, ActivationType::kF16, 4, 32, 256}), DType::kF16);
  EXPECT_EQ(input_type({p.format, ActivationType::kF32, 4, 32, 256}), DType::kF32);
  EXPECT_EQ(input_type({p.format, ActivationType::kInt8, 4, 32, 256}), DType::kF32);
  EXPECT_EQ(input_type({p.format, p.activation, 4, 32, 260}), DType::kF32);
  EXPECT_EQ(input_type({Format::kBf16, p.activation, 400, 32, 256}), usual);
  const bool hopper = gpu().product_kernels(stream(), p.activation).has(ProductKernel::kWgmma);
  EXPECT_EQ(input_type({p.format, p.activation, 400, 32, 256}), hopper ? DType::kF32 : usual);
}

TEST_F(GpuRoundedProducts, OfAnotherTypeAreRefused) {
  const Product p{Format::kW4, ActivationType::kF32, 4, 32, 256};
  const Matrix w = matrix_of(p);
  auto x = put(std::vector<float>(4 * 256)), y = put(std::vector<float>(4 * 32));
  LinearArgs args = args_of(p, w);
  args.y = y.data();
  args.rounded = {DType::kF16, x.data()};
  try {
    gpu().ops().linear(stream(), args);
    FAIL() << "f16 rows were taken for a product in f32";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "linear: x is rounded to f16, which this product does not take");
  }
}

}  // namespace
}  // namespace llmpq::test
