// Whole tiles of weights, packed where they lie in memory: the same bytes as row by row.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "kernels/check.hpp"
#include "kernels/convert.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/pack.hpp"
#include "support.hpp"

namespace llmpq::test {
namespace {

/// Random numbers, and what rounding has to be careful with: ties, zeros, tiny and huge numbers.
std::vector<float> awkward_values(int64_t rows, int64_t k) {
  Random random(9);
  std::vector<float> values = random.vector(rows * k, 3.0f);
  for (size_t i = 0; i < values.size(); i += 7) values[i] = static_cast<float>(i % 13) * 0.5f;
  for (int64_t i = 0; i < k; ++i) {
    values[i] = 0;
    values[k + i] = i % 2 ? 1e-45f : -190e-45f;
    values[2 * k + i] *= 1e37f;
  }
  return values;
}

template <typename T>
RowsInMemory in_memory(DType type, const std::vector<T>& numbers) {
  return {type, reinterpret_cast<const std::byte*>(numbers.data())};
}

/// Rows [rows, k] packed one by one.
std::vector<std::byte> packed_by_rows(Format format, int64_t rows, int64_t k,
                                      const std::vector<float>& values) {
  std::vector<std::byte> packed(static_cast<size_t>(packed_bytes(format, rows, k)));
  for (int64_t row = 0; row < rows; ++row)
    pack_row(format, rows, k, row, values.data() + row * k, packed.data());
  return packed;
}

/// Numbers of 16 bits as floats.
std::vector<float> widened(DType type, const std::vector<uint16_t>& halves) {
  std::vector<float> values;
  for (const uint16_t half : halves)
    values.push_back(type == DType::kBf16 ? bf16_to_f32(half) : f16_to_f32(half));
  return values;
}

TEST(PackTile, ATileIsPackedAsItsRowsAreOneByOne) {
  for (const int64_t k : {1, 7, 128, 200, 257, 384}) {
    const std::vector<float> values = awkward_values(kTile, k);
    for (const FormatInfo& format : kFormats) {
      const auto wanted = packed_by_rows(format.format, kTile, k, values);
      for (const Isa isa : available_isas()) {
        std::vector<std::byte> tile(wanted.size());
        ASSERT_TRUE(kernels(isa).pack_tile(format.format, k, in_memory(DType::kF32, values),
                                           reinterpret_cast<uint8_t*>(tile.data())));
        EXPECT_EQ(tile, wanted) << format.name << ", k " << k << ", " << name(isa);
      }
    }
  }
}

/// A group whose largest value is `largest`: numbers of 16 bits next to each tie between integers.
std::vector<uint16_t> next_to_ties(DType type, uint16_t largest, int max_abs) {
  const bool bf16 = type == DType::kBf16;
  const float top = bf16 ? bf16_to_f32(largest) : f16_to_f32(largest);
  std::vector<uint16_t> halves;
  for (int k = 0; k < max_abs; ++k) {
    const float tie = (static_cast<float>(k) + 0.5f) * top / static_cast<float>(max_abs);
    const uint16_t nearest = bf16 ? f32_to_bf16(tie) : f32_to_f16(tie);
    const int sign = k % 2 << 15;
    for (const int step : {-1, 0, 1}) {
      if (halves.size() % kGroup == 0) halves.push_back(largest);
      halves.push_back(static_cast<uint16_t>((nearest + step) | sign));
    }
  }
  halves.resize((halves.size() + kGroup - 1) / kGroup * kGroup);
  return halves;
}

/// Fast kernels divide by a reciprocal and a remainder: the same integers as by dividing.
TEST(PackTile, QuotientsOf16BitsNextToTiesAreRoundedAsDividedOnes) {
  for (const DType type : {DType::kBf16, DType::kF16})
    for (const Format format : {Format::kW8, Format::kW4, Format::kW3}) {
      const int mantissas = type == DType::kBf16 ? 128 : 1024;
      const int one = type == DType::kBf16 ? 0x4480 : 0x6400;  // 1024
      std::vector<uint16_t> numbers;
      for (int i = 0; i < mantissas; ++i) {
        const auto more = next_to_ties(type, static_cast<uint16_t>(one + i), info(format).max_abs);
        numbers.insert(numbers.end(), more.begin(), more.end());
      }
      numbers.resize((numbers.size() + kTile * kGroup - 1) / (kTile * kGroup) * kTile * kGroup);
      const int64_t rows = std::ssize(numbers) / kGroup;
      const auto wanted = packed_by_rows(format, rows, kGroup, widened(type, numbers));
      for (const Isa isa : available_isas()) {
        std::vector<std::byte> packed(wanted.size());
        for (int64_t row = 0; row < rows; row += kTile)
          ASSERT_TRUE(kernels(isa).pack_tile(
              format, kGroup,
              {type, reinterpret_cast<const std::byte*>(numbers.data() + row * kGroup)},
              reinterpret_cast<uint8_t*>(packed.data()) +
                  row / kTile * tile_bytes(format, kGroup)));
        EXPECT_EQ(packed, wanted) << name(format) << " from " << name(type) << ", " << name(isa);
      }
    }
}

TEST(PackTile, ATileWithAValueThatIsNotFiniteIsRefused) {
  std::vector<float> values(kTile * 300, 1.0f);
  values[5 * 300 + 299] = -INFINITY;
  std::vector<uint8_t> tile(static_cast<size_t>(packed_bytes(Format::kW8, kTile, 300)));
  for (const Isa isa : available_isas())
    EXPECT_FALSE(
        kernels(isa).pack_tile(Format::kW8, 300, in_memory(DType::kF32, values), tile.data()));
}

/// `values` as numbers of `type`, and as f32 again.
std::vector<std::byte> stored(DType type, std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * static_cast<size_t>(size_of(type)));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t half = type == DType::kF16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
    if (type == DType::kF32) {
      std::memcpy(bytes.data() + 4 * i, &values[i], 4);
    } else {
      std::memcpy(bytes.data() + 2 * i, &half, 2);
      values[i] = type == DType::kF16 ? f16_to_f32(half) : bf16_to_f32(half);
    }
  }
  return bytes;
}

void expect_same_bytes(const Matrix& a, const Matrix& b, const std::string& what) {
  EXPECT_EQ(std::memcmp(a.packed.data(), b.packed.data(), static_cast<size_t>(a.packed.bytes())), 0)
      << what;
}

/// Whole tiles where they lie, at an odd address; the rows that are none are read.
TEST(PackTile, RowsInMemoryGiveTheBytesOfTheSameNumbersAsF32) {
  const int64_t n = 75, k = 200;
  for (const DType type : {DType::kF32, DType::kBf16, DType::kF16}) {
    std::vector<float> values = awkward_values(n, k);
    for (float& value : values) value *= type == DType::kF16 ? 1e-35f : 1;
    std::vector<std::byte> numbers = stored(type, values);
    numbers.insert(numbers.begin(), std::byte{0});
    for (const FormatInfo& format : kFormats)
      for (const auto& on : machines()) {
        const Matrix whole = packed_matrix(*on, format.format, n, k, values);
        Matrix w = packed_matrix(*on, format.format, n, k, std::vector<float>(values.size(), 0.5f));
        std::atomic<int64_t> read_rows{0};
        const auto read = [&](int64_t begin, int64_t count, std::span<float> to) {
          std::copy_n(values.begin() + begin * k, count * k, to.begin());
          read_rows += count;
        };
        const auto there = [&](int64_t begin, int64_t) {
          return RowsInMemory{type, numbers.data() + 1 + begin * k * size_of(type)};
        };
        on->backend->pack_from(*on->context, w, 0, n, int64_t{16} * k * 4, {read, there});
        expect_same_bytes(w, whole, std::string(format.name) + " from " + std::string(name(type)));
        EXPECT_EQ(read_rows, n % kTile);
      }
  }
}

/// Every bf16 or f16 there is, NaNs among them, comes out as if it had been widened and rounded.
TEST(PackTile, HalvesKeepTheirBitsAndNansBecomeQuiet) {
  constexpr int64_t kInputs = 65536 / kTile;
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  for (const auto& [type, format] :
       {std::pair{DType::kBf16, Format::kBf16}, std::pair{DType::kF16, Format::kF16}}) {
    const auto wanted = packed_by_rows(format, kTile, kInputs, widened(type, halves));
    for (const Isa isa : available_isas()) {
      std::vector<std::byte> tile(wanted.size());
      ASSERT_TRUE(kernels(isa).pack_tile(format, kInputs, in_memory(type, halves),
                                         reinterpret_cast<uint8_t*>(tile.data())));
      EXPECT_EQ(tile, wanted) << name(type) << ", " << name(isa);
    }
  }
}

TEST(PackTile, RowsInMemoryThatCannotBeRoundedAreReadByWhoTellsWhy) {
  const int64_t n = 32, k = 128;
  std::vector<uint16_t> numbers(n * k, 0x3f80);
  numbers[20 * k + 5] = 0x7f80;
  const auto read = [&](int64_t begin, int64_t, std::span<float>) {
    EXPECT_EQ(begin, 16);
    fail(Exit::kModel, "row 20 is not finite");
  };
  const auto there = [&](int64_t begin, int64_t) {
    return RowsInMemory{DType::kBf16, reinterpret_cast<const std::byte*>(&numbers[begin * k])};
  };
  Machine& on = *machines().back();
  Matrix w = packed_matrix(on, Format::kW4, n, k, std::vector<float>(n * k, 0.5f));
  EXPECT_THROW(on.backend->pack_from(*on.context, w, 0, n, int64_t{16} * k * 4, {read, there}),
               Error);
}

}  // namespace
}  // namespace llmpq::test
