#include "kernels/cpu/pack.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "kernels/check.hpp"
#include "kernels/convert.hpp"

namespace llmpq {
namespace {

/// One output of one group inside a packed matrix: the group's first byte and the output's lane.
struct GroupSlot {
  std::byte* group;
  int64_t lane;
  int64_t size;

  uint8_t* byte(int64_t vector, int64_t within) const {
    return reinterpret_cast<uint8_t*>(group) + vector * kVector + lane * 4 + within;
  }
};

GroupSlot slot_of(std::byte* packed, Format format, int64_t k, int64_t row, int64_t group) {
  std::byte* tile = packed + row / kTile * tile_bytes(format, k);
  return {tile + group * group_bytes(format), row % kTile,
          std::min<int64_t>(kGroup, k - group * kGroup)};
}

/// Scale and integers of one group; the format's bias is added. Padding holds the bias alone.
struct RoundedGroup {
  float scale = 0;
  uint8_t u[kGroup];
};

/// absmax / max_abs of a group.
float group_scale(Format format, const float* values, int64_t size, int64_t row) {
  float largest = 0;
  for (int64_t i = 0; i < size; ++i) {
    CHECK(std::isfinite(values[i]), Exit::kModel,
          "weight row {}: found {}, want finite numbers to round to {}", row, values[i],
          name(format));
    largest = std::max(largest, std::fabs(values[i]));
  }
  return largest / static_cast<float>(info(format).max_abs);
}

/// The values in steps of `scale`, within +-max_abs, or down to one step less.
RoundedGroup round_group(Format format, const float* values, int64_t size, float scale,
                         float lowest) {
  const float max_abs = static_cast<float>(info(format).max_abs);
  const int bias = weight_bias(format);
  RoundedGroup result;
  result.scale = scale;
  std::fill(std::begin(result.u), std::end(result.u), static_cast<uint8_t>(bias));
  if (result.scale == 0) return result;
  for (int64_t i = 0; i < size; ++i) {
    const float q = std::clamp(values[i] / result.scale, lowest, max_abs);
    constexpr float kShift = 12582912.0f;  // rounds to an integer, ties to even
    result.u[i] = static_cast<uint8_t>(static_cast<int>((q + kShift) - kShift) + bias);
  }
  return result;
}

void put_w8(const GroupSlot& slot, const uint8_t* u) {
  for (int64_t i = 0; i < (slot.size + 3) / 4 * 4; ++i) *slot.byte(1 + i / 4, i % 4) = u[i];
}

void put_w4(const GroupSlot& slot, const uint8_t* u) {
  for (int64_t v = 0; v < (slot.size + 7) / 8; ++v)
    for (int64_t j = 0; j < 4; ++j)
      *slot.byte(1 + v, j) = static_cast<uint8_t>(u[8 * v + j] | (u[8 * v + 4 + j] << 4));
}

void put_w3(const GroupSlot& slot, const uint8_t* u) {
  for (int64_t unit = 0; unit < (slot.size + 31) / 32; ++unit) {
    for (int64_t j = 0; j < 4; ++j) {
      unsigned low[2] = {0, 0}, high = 0;
      for (int64_t quad = 0; quad < 8; ++quad) {
        const unsigned value = u[32 * unit + 4 * quad + j];
        low[quad / 4] |= (value & 3u) << (2 * (quad % 4));
        high |= (value >> 2) << quad;
      }
      *slot.byte(1 + 3 * unit, j) = static_cast<uint8_t>(low[0]);
      *slot.byte(2 + 3 * unit, j) = static_cast<uint8_t>(low[1]);
      *slot.byte(3 + 3 * unit, j) = static_cast<uint8_t>(high);
    }
  }
}

uint8_t get_integer(Format format, const GroupSlot& slot, int64_t i) {
  if (format == Format::kW8) return *slot.byte(1 + i / 4, i % 4);
  if (format == Format::kW4) {
    const unsigned both = *slot.byte(1 + i / 8, i % 4);
    return static_cast<uint8_t>(i % 8 < 4 ? both & 15u : both >> 4);
  }
  const int64_t unit = i / 32, quad = i % 32 / 4, j = i % 4;
  const unsigned low = *slot.byte(1 + 3 * unit + quad / 4, j) >> (2 * (quad % 4)) & 3u;
  const unsigned high = *slot.byte(3 + 3 * unit, j) >> quad & 1u;
  return static_cast<uint8_t>(low | high << 2);
}

void put_group(Format format, const GroupSlot& slot, const RoundedGroup& rounded) {
  std::memcpy(slot.byte(0, 0), &rounded.scale, sizeof(float));
  if (format == Format::kW8) return put_w8(slot, rounded.u);
  if (format == Format::kW4) return put_w4(slot, rounded.u);
  put_w3(slot, rounded.u);
}

void pack_integer_group(Format format, const GroupSlot& slot, const float* values, int64_t row) {
  const auto max_abs = static_cast<float>(info(format).max_abs);
  const float scale = group_scale(format, values, slot.size, row);
  put_group(format, slot, round_group(format, values, slot.size, scale, -max_abs));
}

/// Where element i of a 16-bit group lies.
std::byte* half_at(Format format, const GroupSlot& slot, int64_t i) {
  return format == Format::kBf16 ? slot.group + i / 2 * kVector + slot.lane * 4 + i % 2 * 2
                                 : slot.group + i * kVector / 2 + slot.lane * 2;
}

void pack_half_group(Format format, const GroupSlot& slot, const float* values) {
  for (int64_t i = 0; i < slot.size; ++i) {
    const uint16_t bits = format == Format::kBf16 ? f32_to_bf16(values[i]) : f32_to_f16(values[i]);
    std::memcpy(half_at(format, slot, i), &bits, sizeof(bits));
  }
  if (format == Format::kBf16 && slot.size % 2 == 1)
    std::memset(half_at(format, slot, slot.size), 0, sizeof(uint16_t));
}

float scale_of(const GroupSlot& slot) {
  float scale;
  std::memcpy(&scale, slot.byte(0, 0), sizeof(scale));
  return scale;
}

GroupSlot slot_of(const Matrix& w, int64_t row, int64_t group) {
  return slot_of(const_cast<std::byte*>(w.packed.data()), w.format, w.k, row, group);
}

}  // namespace

int64_t packed_bytes(Format format, int64_t n, int64_t k) {
  constexpr int64_t kLargest = int64_t{1} << 31;
  CHECK(n > 0 && k > 0 && n <= kLargest && k <= kLargest && n <= (int64_t{1} << 46) / k,
        Exit::kModel, "a weight matrix of {} x {}: want positive sizes of at most 2^46 weights", n,
        k);
  return (n + kTile - 1) / kTile * tile_bytes(format, k);
}

void pack_row(Format format, int64_t n, int64_t k, int64_t row, const float* values,
              std::byte* packed) {
  assert(row >= 0 && row < n);
  static_cast<void>(n);
  for (int64_t group = 0; group < groups_of(k); ++group) {
    const GroupSlot slot = slot_of(packed, format, k, row, group);
    const float* from = values + group * kGroup;
    if (is_16bit(format)) {
      pack_half_group(format, slot, from);
    } else {
      pack_integer_group(format, slot, from, row);
    }
  }
}

void pack_scaled_row(Format format, int64_t n, int64_t k, int64_t row, const float* values,
                     const float* scales, std::byte* packed) {
  assert(row >= 0 && row < n && !is_16bit(format));
  static_cast<void>(n);
  const auto lowest = static_cast<float>(-info(format).max_abs - 1);
  for (int64_t group = 0; group < groups_of(k); ++group) {
    const GroupSlot slot = slot_of(packed, format, k, row, group);
    put_group(format, slot,
              round_group(format, values + group * kGroup, slot.size, scales[group], lowest));
  }
}

void unpack_row(const Matrix& w, int64_t row, float* values) {
  assert(row >= 0 && row < w.n);
  for (int64_t group = 0; group < groups_of(w.k); ++group) {
    const GroupSlot slot = slot_of(w, row, group);
    float* to = values + group * kGroup;
    for (int64_t i = 0; i < slot.size; ++i) {
      if (is_16bit(w.format)) {
        uint16_t bits;
        std::memcpy(&bits, half_at(w.format, slot, i), sizeof(bits));
        to[i] = w.format == Format::kBf16 ? bf16_to_f32(bits) : f16_to_f32(bits);
      } else {
        const int q = get_integer(w.format, slot, i) - weight_bias(w.format);
        to[i] = static_cast<float>(q) * scale_of(slot);
      }
    }
  }
}

void unpack_rows(const Matrix& w, int64_t row_begin, int64_t rows, float* values) {
  for (int64_t i = 0; i < rows; ++i) unpack_row(w, row_begin + i, values + i * w.k);
}

void unpack_integers(const Matrix& w, int64_t row, int8_t* q, float* scales) {
  assert(!is_16bit(w.format));
  for (int64_t group = 0; group < groups_of(w.k); ++group) {
    const GroupSlot slot = slot_of(w, row, group);
    scales[group] = scale_of(slot);
    for (int64_t i = 0; i < slot.size; ++i)
      q[group * kGroup + i] =
          static_cast<int8_t>(get_integer(w.format, slot, i) - weight_bias(w.format));
  }
}

}  // namespace llmpq
