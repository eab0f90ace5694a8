// Packed weights: bytes, rounding bounds, and the way back.
#include "kernels/cpu/pack.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "kernels/check.hpp"
#include "kernels/convert.hpp"
#include "support.hpp"
#include "tolerance.hpp"

namespace llmpq::test {
namespace {

constexpr std::pair<int64_t, int64_t> kShapes[] = {{1, 1},    {16, 128}, {17, 129}, {3, 7},
                                                   {33, 255}, {40, 300}, {192, 512}};

Machine& machine() { return *machines().back(); }

TEST(Pack, BytesArePerTileAndGroup) {
  const Backend& backend = *machine().backend;
  EXPECT_EQ(backend.packed_bytes(Format::kBf16, 16, 128), 16 * 256);
  EXPECT_EQ(backend.packed_bytes(Format::kF16, 32, 256), 32 * 512);
  EXPECT_EQ(backend.packed_bytes(Format::kW8, 16, 128), 16 * 132);
  EXPECT_EQ(backend.packed_bytes(Format::kW4, 16, 128), 16 * 68);
  EXPECT_EQ(backend.packed_bytes(Format::kW3, 16, 128), 16 * 52);
  EXPECT_EQ(backend.packed_bytes(Format::kW3, 17, 129), 2 * (16 * 52 + 64 + 192));
  EXPECT_EQ(backend.packed_bytes(Format::kBf16, 1, 1), 64);
}

TEST(Pack, AbsurdSizesAreRefused) {
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{0, 8},
                             {8, -1},
                             {INT64_MAX, 2},
                             {int64_t{1} << 31, int64_t{1} << 31}}) {
    try {
      machine().backend->packed_bytes(Format::kW4, n, k);
      FAIL() << n << " x " << k;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::kModel);
      EXPECT_NE(std::string(error.what()).find("want positive sizes"), std::string::npos);
    }
  }
}

TEST(Pack, UnpackedWeightsAreWithinTheFormatsBound) {
  for (const FormatInfo& format : kFormats) {
    for (const auto& [n, k] : kShapes) {
      Random random(static_cast<uint64_t>(n * k));
      const std::vector<float> values = random.vector(n * k, 2.5f);
      const Matrix w = packed_matrix(machine(), format.format, n, k, values);
      std::vector<float> back(values.size());
      unpack_rows(w, 0, n, back.data());
      std::vector<double> allowed;
      for (int64_t row = 0; row < n; ++row)
        for (int64_t i = 0; i < k; ++i) {
          const int64_t begin = i / kGroup * kGroup, end = std::min(begin + kGroup, k);
          double largest = 0;
          for (int64_t j = begin; j < end; ++j)
            largest = std::max(largest, std::fabs(static_cast<double>(values[row * k + j])));
          allowed.push_back(rounding_error(format.format, values[row * k + i], largest));
        }
      expect_close(
          back, std::vector<double>(values.begin(), values.end()),
          [&](size_t i) { return allowed[i]; }, std::string(format.name));
    }
  }
}

TEST(Pack, WhatTheFormatHoldsExactlyComesBackExactly) {
  for (const FormatInfo& format : kFormats) {
    for (const auto& [n, k] : kShapes) {
      Random random(7);
      std::vector<float> values(static_cast<size_t>(n * k));
      const int limit = format.max_abs > 0 ? format.max_abs : 100;
      for (float& value : values)
        value = static_cast<float>(random.below(2 * limit + 1) - limit) / 4;
      for (int64_t row = 0; row < n; ++row)  // the largest value of every group fixes its scale
        for (int64_t i = 0; i < k; i += kGroup) values[row * k + i] = static_cast<float>(limit) / 4;
      const Matrix w = packed_matrix(machine(), format.format, n, k, values);
      std::vector<float> back(values.size());
      unpack_rows(w, 0, n, back.data());
      expect_same_bits(back, values, std::string(format.name));
    }
  }
}

TEST(Pack, IntegersAndScalesMakeTheUnpackedRow) {
  for (const Format format : {Format::kW8, Format::kW4, Format::kW3}) {
    Random random(9);
    const int64_t n = 20, k = 300;
    const Matrix w = packed_matrix(machine(), format, n, k, random.vector(n * k));
    std::vector<int8_t> q(k);
    std::vector<float> scales(3), row(k);
    bool reaches_limit = false;
    for (int64_t o = 0; o < n; ++o) {
      unpack_integers(w, o, q.data(), scales.data());
      unpack_row(w, o, row.data());
      for (int64_t i = 0; i < k; ++i) {
        ASSERT_EQ(row[i], static_cast<float>(q[i]) * scales[i / kGroup]);
        ASSERT_LE(std::abs(q[i]), info(format).max_abs);
        reaches_limit |= std::abs(q[i]) == info(format).max_abs;
      }
    }
    EXPECT_TRUE(reaches_limit);
  }
}

TEST(Pack, ZeroRowsHaveScaleZeroAndTiesGoToEven) {
  const Matrix zero = packed_matrix(machine(), Format::kW4, 1, 5, std::vector<float>(5, 0.0f));
  std::vector<int8_t> q(5, 1);
  float scale = 1;
  unpack_integers(zero, 0, q.data(), &scale);
  EXPECT_EQ(scale, 0.0f);
  EXPECT_EQ(q, std::vector<int8_t>(5, 0));
  const Matrix ties = packed_matrix(machine(), Format::kW4, 1, 5, {7.0f, 0.5f, 1.5f, -2.5f, -3.5f});
  unpack_integers(ties, 0, q.data(), &scale);
  EXPECT_EQ(scale, 1.0f);
  EXPECT_EQ(q, (std::vector<int8_t>{7, 0, 2, -2, -4}));
}

TEST(Pack, TinyValuesDoNotOverflowTheirIntegers) {
  for (const Format format : {Format::kW8, Format::kW4, Format::kW3}) {
    const Matrix w = packed_matrix(machine(), format, 1, 3, {190e-45f, -190e-45f, 1e-45f});
    std::vector<int8_t> q(3);
    float scale;
    unpack_integers(w, 0, q.data(), &scale);
    for (const int8_t value : q) EXPECT_LE(std::abs(value), info(format).max_abs);
  }
}

TEST(Pack, AWeightThatIsNotFiniteIsRefusedByIntegerFormats) {
  for (const float bad : {std::nanf(""), INFINITY}) {
    std::vector<float> values(300, 1.0f);
    values[299] = bad;
    try {
      packed_matrix(machine(), Format::kW8, 1, 300, values);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::kModel);
      EXPECT_NE(std::string(error.what()).find("want finite numbers"), std::string::npos);
    }
  }
}

TEST(Pack, TheSameBytesInOnePieceInManyAndOnEveryMachine) {
  const int64_t n = 37, k = 200;
  Random random(4);
  const std::vector<float> values = random.vector(n * k);
  for (const FormatInfo& format : kFormats) {
    const Matrix whole = packed_matrix(*machines().front(), format.format, n, k, values);
    for (const auto& other : machines()) {
      Matrix pieces;
      pieces.format = format.format;
      pieces.n = n;
      pieces.k = k;
      pieces.packed = other->backend->allocate(whole.packed.bytes());
      for (int64_t row = 0; row < n; row += 5)
        other->backend->pack_rows(*other->context, pieces, row, std::min<int64_t>(5, n - row),
                                  values.data() + row * k);
      EXPECT_EQ(std::memcmp(whole.packed.data(), pieces.packed.data(),
                            static_cast<size_t>(whole.packed.bytes())),
                0)
          << format.name << " " << other->label;
    }
  }
}

TEST(Pack, RowsThatAreReadInStripsGiveTheSameBytes) {
  const int64_t n = 75, k = 130, first = 3, rows = 70;
  Random random(5);
  const std::vector<float> values = random.vector(n * k);
  Machine& on = machine();
  for (const FormatInfo& format : kFormats) {
    const Matrix whole = packed_matrix(on, format.format, n, k, values);
    for (const int64_t strip_bytes : {int64_t{1}, 20 * k * 4, int64_t{1} << 20}) {
      Matrix w = packed_matrix(on, format.format, n, k, std::vector<float>(values.size(), 0.5f));
      std::atomic<int64_t> read_rows{0};
      on.backend->pack_from(*on.context, w, first, rows, strip_bytes,
                            {[&](int64_t begin, int64_t count, std::span<float> to) {
                              std::copy_n(values.begin() + (first + begin) * k, count * k,
                                          to.begin());
                              read_rows += count;
                            }});
      EXPECT_EQ(read_rows, rows);
      for (const int64_t row : {first, first + 1, first + rows - 1}) {
        std::vector<float> got(static_cast<size_t>(k)), want(got.size());
        unpack_row(w, row, got.data());
        unpack_row(whole, row, want.data());
        EXPECT_EQ(got, want) << format.name << ", row " << row;
      }
      std::vector<float> before(static_cast<size_t>(k));
      unpack_row(w, first - 1, before.data());
      EXPECT_NEAR(before[0], 0.5f, 0.01f) << "a row that was not asked for";
    }
  }
}

/// Also of rows so long that a tile of them does not fit into a cache.
TEST(Pack, LongRowsThatAreReadInStripsGiveTheSameBytes) {
  const int64_t n = 33, k = 9000;
  Random random(6);
  const std::vector<float> values = random.vector(n * k);
  Machine& on = machine();
  const Matrix whole = packed_matrix(on, Format::kW3, n, k, values);
  Matrix w = packed_matrix(on, Format::kW3, n, k, std::vector<float>(values.size(), 0.5f));
  int64_t most = 0;
  on.backend->pack_from(*on.context, w, 0, n, int64_t{1} << 20,
                        {[&](int64_t begin, int64_t count, std::span<float> to) {
                          std::copy_n(values.begin() + begin * k, count * k, to.begin());
                          if (begin == 0) most = count;
                        }});
  EXPECT_EQ(most, kTile);
  EXPECT_EQ(std::memcmp(w.packed.data(), whole.packed.data(), whole.packed.bytes()), 0);
}

TEST(Pack, GivenScalesAreKeptAndTheLowestIntegerIsHeld) {
  for (const Format format : {Format::kW8, Format::kW4, Format::kW3})
    for (const auto& [n, k] : kShapes) {
      const auto [values, scales] = scaled_rows(format, n, k);
      for (const auto& on : machines())
        for (const int64_t most : {int64_t{5}, n}) {
          Matrix w = packed_matrix(*on, format, n, k, std::vector<float>(values.size(), 0.5f));
          for (int64_t row = 0; row < n; row += most)
            on->backend->pack_scaled_rows(*on->context, w, row, std::min(most, n - row),
                                          values.data() + row * k,
                                          scales.data() + row * groups_of(k));
          std::vector<float> back(values.size()), kept(static_cast<size_t>(groups_of(k)));
          std::vector<int8_t> q(static_cast<size_t>(k));
          unpack_rows(w, 0, n, back.data());
          expect_same_bits(back, values, std::string(name(format)) + " " + on->label);
          unpack_integers(w, n - 1, q.data(), kept.data());
          EXPECT_TRUE(std::equal(kept.begin(), kept.end(), scales.end() - groups_of(k)));
        }
    }
}

TEST(Pack, BeyondTheFormatsRangeGivenScalesCutOff) {
  Matrix w = packed_matrix(machine(), Format::kW4, 1, 4, std::vector<float>(4));
  const std::vector<float> values = {-9.0f, 8.0f, -7.6f, 2.5f};
  const float scale = 1;
  machine().backend->pack_scaled_rows(*machine().context, w, 0, 1, values.data(), &scale);
  std::vector<int8_t> q(4);
  float kept = 0;
  unpack_integers(w, 0, q.data(), &kept);
  EXPECT_EQ(q, (std::vector<int8_t>{-8, 7, -8, 2}));
}

TEST(Pack, RowsOutsideTheMatrixAreRefused) {
  Matrix w = packed_matrix(machine(), Format::kW8, 4, 8, std::vector<float>(32, 1.0f));
  const std::vector<float> values(8 * 4);
  EXPECT_THROW(machine().backend->pack_rows(*machine().context, w, 3, 2, values.data()), Error);
  w.k = 16;
  w.n = 1000;
  EXPECT_THROW(machine().backend->pack_rows(*machine().context, w, 0, 1, values.data()), Error);
}

/// Row by row as pack_scaled_row() does it, and in tiles.
TEST(Pack, GivenScalesCutOffInWholeTilesToo) {
  const int64_t n = 48, k = 200;
  Random random(8);
  const std::vector<float> values = random.vector(n * k, 20.0f);
  const std::vector<float> scales(static_cast<size_t>(n * groups_of(k)), 1.0f);
  for (const Format format : {Format::kW8, Format::kW4, Format::kW3})
    for (const auto& on : machines()) {
      Matrix w = packed_matrix(*on, format, n, k, std::vector<float>(values.size(), 0.5f));
      std::vector<std::byte> wanted(static_cast<size_t>(w.packed.bytes()));
      for (int64_t row = 0; row < n; ++row)
        pack_scaled_row(format, n, k, row, values.data() + row * k,
                        scales.data() + row * groups_of(k), wanted.data());
      on->backend->pack_scaled_rows(*on->context, w, 0, n, values.data(), scales.data());
      EXPECT_EQ(std::memcmp(w.packed.data(), wanted.data(), wanted.size()), 0)
          << name(format) << " " << on->label;
    }
}

TEST(Pack, ATableHasTheNumbersRoundedToNearest) {
  const int64_t rows = 300, columns = 77;
  Random random(3);
  const std::vector<float> values = random.vector(rows * columns, 3.0f);
  for (const DType type : {DType::kBf16, DType::kF16})
    for (const auto& on : machines())
      for (const int64_t strip_bytes : {int64_t{1}, int64_t{1} << 20}) {
        std::vector<uint16_t> halves(values.size());
        on->backend->fill_table(
            *on->context, {type, rows, columns, reinterpret_cast<std::byte*>(halves.data())},
            strip_bytes, {[&](int64_t begin, int64_t count, std::span<float> to) {
              std::copy_n(values.begin() + begin * columns, count * columns, to.begin());
            }});
        for (size_t i = 0; i < values.size(); ++i)
          ASSERT_EQ(halves[i], type == DType::kF16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]))
              << i << " " << on->label;
      }
}

}  // namespace
}  // namespace llmpq::test
