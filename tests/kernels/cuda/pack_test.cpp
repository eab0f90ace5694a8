// Packing on a GPU: its bytes hold the CPU's integers, scales and halves, however rows are cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "kernels/check.hpp"
#include "kernels/convert.hpp"
#include "kernels/cuda/gpu.hpp"
#include "kernels/cuda/layout.hpp"

namespace llmpq::test {
namespace {

struct Shape {
  int64_t n, k;
};
constexpr Shape kShapes[] = {{1, 1},    {3, 7},    {16, 128}, {17, 129},
                             {33, 255}, {40, 300}, {192, 512}};

class CudaPackTest : public GpuTest {
 protected:
  static Matrix empty_matrix(Format format, const Shape& shape) {
    Matrix w;
    w.format = format;
    w.n = shape.n;
    w.k = shape.k;
    w.packed = gpu().allocate(gpu().packed_bytes(format, shape.n, shape.k));
    return w;
  }
  /// Packs rows in pieces of `piece`.
  static void pack(Matrix& w, const std::vector<float>& values, int64_t piece) {
    for (int64_t row = 0; row < w.n; row += piece)
      gpu().pack_rows(stream(), w, row, std::min(piece, w.n - row), values.data() + row * w.k);
  }
  static void pack_scaled(Matrix& w, const std::vector<float>& values,
                          const std::vector<float>& scales, int64_t piece) {
    const int64_t groups = groups_of(w.k);
    for (int64_t row = 0; row < w.n; row += piece)
      gpu().pack_scaled_rows(stream(), w, row, std::min(piece, w.n - row),
                             values.data() + row * w.k, scales.data() + row * groups);
  }
  static std::vector<std::byte> bytes_of(const Matrix& w) {
    std::vector<std::byte> bytes(static_cast<size_t>(w.packed.bytes()));
    gpu().copy_to_host(stream(), bytes.data(), w.packed.data(), w.packed.bytes());
    stream().synchronize();
    return bytes;
  }
};

/// Where a tile begins.
const std::byte* tile_at(const std::vector<std::byte>& bytes, const Matrix& w, int64_t row,
                         int64_t group) {
  const int64_t tile = row / cuda::kTileOutputs * groups_of(w.k) + group;
  return bytes.data() + tile * cuda::tile_bytes(w.format);
}

float scale_at(const std::byte* tile, int64_t output) {
  float scale;
  std::memcpy(&scale, tile + 4 * output, sizeof(scale));
  return scale;
}

/// All integers and scales of a matrix, padding included, against those that the CPU packed.
void expect_integers(const std::vector<std::byte>& bytes, const Matrix& w, const Matrix& wanted,
                     const std::string& what) {
  const int64_t groups = groups_of(w.k);
  std::vector<int8_t> q(static_cast<size_t>(w.k));
  std::vector<float> scales(static_cast<size_t>(groups));
  for (int64_t row = 0; row < cuda::tiles_of(w.n) * cuda::kTileOutputs; ++row) {
    const bool real = row < w.n;
    if (real) unpack_integers(wanted, row, q.data(), scales.data());
    for (int64_t i = 0; i < groups * kGroup; ++i) {
      const std::byte* tile = tile_at(bytes, w, row, i / kGroup);
      const int output = static_cast<int>(row % cuda::kTileOutputs);
      if (i % kGroup == 0) {
        ASSERT_EQ(scale_at(tile, output), real ? scales[i / kGroup] : 0.0f) << what << " " << row;
      }
      const auto* words = reinterpret_cast<const uint32_t*>(tile + cuda::kScaleBytes);
      ASSERT_EQ(cuda::get_integer(w.format, words, output, static_cast<int>(i % kGroup)),
                real && i < w.k ? q[i] : 0)
          << what << ": row " << row << " input " << i;
    }
  }
}

void expect_halves(const std::vector<std::byte>& bytes, const Matrix& w,
                   const std::vector<float>& values, const std::string& what) {
  const int64_t stride = cuda::row_halves(w.k);
  for (int64_t row = 0; row < w.n; ++row)
    for (int64_t i = 0; i < stride; ++i) {
      uint16_t bits;
      std::memcpy(&bits, bytes.data() + 2 * (row * stride + i), sizeof(bits));
      const float value = i < w.k ? values[row * w.k + i] : 0.0f;
      ASSERT_EQ(bits, w.format == Format::kBf16 ? f32_to_bf16(value) : f32_to_f16(value))
          << what << ": row " << row << " input " << i << " of " << value;
    }
}

TEST_F(CudaPackTest, TheCpusNumbersInOnePieceAndInMany) {
  for (const FormatInfo& format : kFormats)
    for (const Shape& shape : kShapes)
      for (const int64_t piece : {shape.n, int64_t{5}}) {
        Random random(static_cast<uint64_t>(shape.n * shape.k));
        const std::vector<float> values = random.vector(shape.n * shape.k, 2.5f);
        const std::string what = std::string(format.name) + " " + std::to_string(shape.n) + " x " +
                                 std::to_string(shape.k) + " by " + std::to_string(piece);
        Matrix w = empty_matrix(format.format, shape);
        pack(w, values, piece);
        if (is_16bit(format.format)) {
          expect_halves(bytes_of(w), w, values, what);
        } else {
          const Matrix wanted = packed_matrix(cpu(), format.format, shape.n, shape.k, values);
          expect_integers(bytes_of(w), w, wanted, what);
        }
      }
}

TEST_F(CudaPackTest, ValuesAreFreeAgainAndOlderRowsAreReplaced) {
  const Shape shape{40, 300};
  Random random(5);
  for (const Format format : {Format::kW8, Format::kW4, Format::kW3}) {
    Matrix w = empty_matrix(format, shape);
    pack(w, random.vector(shape.n * shape.k), 7);
    const std::vector<float> values = random.vector(shape.n * shape.k);
    std::vector<float> passing = values;
    pack(w, passing, 40);
    std::fill(passing.begin(), passing.end(), 9.0f);
    expect_integers(bytes_of(w), w, packed_matrix(cpu(), format, shape.n, shape.k, values),
                    std::string(name(format)));
  }
}

TEST_F(CudaPackTest, ZerosTiesAndTinyValues) {
  const Shape shape{4, 5};
  const std::vector<float> values = {0,        0,         0,      0,     0,       // scale 0
                                     7,        0.5f,      1.5f,   -2.5f, -3.5f,   // ties
                                     190e-45f, -190e-45f, 1e-45f, 0,     1e-45f,  // subnormal
                                     3e38f,    -3e38f,    1e30f,  0,     -1e38f};
  for (const Format format : {Format::kW8, Format::kW4, Format::kW3}) {
    Matrix w = empty_matrix(format, shape);
    pack(w, values, 4);
    expect_integers(bytes_of(w), w, packed_matrix(cpu(), format, shape.n, shape.k, values),
                    std::string(name(format)));
  }
}

TEST_F(CudaPackTest, SixteenBitRoundingAtItsEdges) {
  std::vector<float> values = {65504.0f,  65519.9f,   65520.0f,    1e38f,      -3.4e38f, INFINITY,
                               -INFINITY, 6e-8f,      2.9e-8f,     -3e-8f,     6.1e-5f,  1e-40f,
                               -0.0f,     1.0009765f, 1.00390625f, 1.01171875f};
  const Shape shape{1, static_cast<int64_t>(values.size())};
  for (const Format format : {Format::kBf16, Format::kF16}) {
    Matrix w = empty_matrix(format, shape);
    pack(w, values, 1);
    expect_halves(bytes_of(w), w, values, std::string(name(format)));
    std::vector<float> nan = values;
    nan[3] = std::nanf("");
    pack(w, nan, 1);
    uint16_t bits;
    const std::vector<std::byte> bytes = bytes_of(w);
    std::memcpy(&bits, bytes.data() + 6, sizeof(bits));
    EXPECT_TRUE(std::isnan(format == Format::kBf16 ? bf16_to_f32(bits) : f16_to_f32(bits)));
  }
}

TEST_F(CudaPackTest, AWeightThatIsNotFiniteIsRefusedByIntegerFormats) {
  for (const float bad : {std::nanf(""), INFINITY}) {
    std::vector<float> values(600, 1.0f);
    values[599] = bad;
    Matrix w = empty_matrix(Format::kW4, {2, 300});
    try {
      pack(w, values, 2);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::kModel);
      const std::string sentence = error.what();
      EXPECT_NE(sentence.find("want finite numbers"), std::string::npos) << sentence;
      EXPECT_NE(sentence.find("row 1"), std::string::npos) << sentence;
    }
  }
}

TEST_F(CudaPackTest, GivenScalesAreTheCpusInOnePieceAndInMany) {
  const Shape shape{40, 300};
  for (const Format format : {Format::kW8, Format::kW4, Format::kW3}) {
    const auto [values, scales] = scaled_rows(format, shape.n, shape.k);
    Matrix wanted = packed_matrix(cpu(), format, shape.n, shape.k, values);
    cpu().backend->pack_scaled_rows(*cpu().context, wanted, 0, shape.n, values.data(),
                                    scales.data());
    for (const int64_t piece : {shape.n, int64_t{5}}) {
      Matrix w = empty_matrix(format, shape);
      pack_scaled(w, values, scales, piece);
      expect_integers(bytes_of(w), w, wanted, std::string(name(format)));
    }
  }
}

/// More than one strip of pinned memory (16 MiB), and rows that no strip's end meets.
TEST_F(CudaPackTest, AMatrixOfSeveralStrips) {
  const Shape shape{1500, 4100};
  Random random(11);
  const std::vector<float> values = random.vector(shape.n * shape.k);
  Matrix w = empty_matrix(Format::kBf16, shape);
  pack(w, values, shape.n);
  expect_halves(bytes_of(w), w, values, "bf16");
}

}  // namespace
}  // namespace llmpq::test
