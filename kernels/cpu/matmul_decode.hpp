// Packed weights of one group to what the products read: f32 panels, or quads of unsigned bytes.
// Plain loops that vectorize; layouts in pack.hpp. Included after a lanes_*.hpp.
#pragma once

#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/pack.hpp"

namespace llmpq {
namespace {

constexpr int64_t kQuads = kGroup / 4;

LLMPQ_INLINE void decode_w4(const uint8_t* from, int64_t size, uint8_t* quads) {
  for (int64_t v = 0; v < (size + 7) / 8; ++v, from += kVector, quads += 2 * kVector) {
    const Quads pairs = load_quads(from);
    store_quads(quads, bits<0, 15>(pairs));
    store_quads(quads + kVector, bits<4, 15>(pairs));
  }
}

/// Quad `quad` (0 to 7) of a unit: two bits of `low` and one of `high`.
template <int quad>
LLMPQ_INLINE void store_w3_quad(const Quads& low, const Quads& high, uint8_t* quads) {
  store_quads(quads + quad * kVector, bits<2 * (quad % 4), 3>(low) | bits<quad - 2, 4>(high));
}

LLMPQ_INLINE void decode_w3(const uint8_t* from, int64_t size, uint8_t* quads) {
  for (int64_t unit = 0; unit < (size + 31) / 32; ++unit, from += 3 * kVector) {
    const Quads a = load_quads(from);
    const Quads b = load_quads(from + kVector);
    const Quads high = load_quads(from + 2 * kVector);
    store_w3_quad<0>(a, high, quads);
    store_w3_quad<1>(a, high, quads);
    store_w3_quad<2>(a, high, quads);
    store_w3_quad<3>(a, high, quads);
    store_w3_quad<4>(b, high, quads);
    store_w3_quad<5>(b, high, quads);
    store_w3_quad<6>(b, high, quads);
    store_w3_quad<7>(b, high, quads);
    quads += 8 * kVector;
  }
}

/// The quads of a group: where they lie for w8, else decoded into `room` [kQuads][64].
LLMPQ_INLINE const uint8_t* group_quads(Format format, const uint8_t* group, int64_t size,
                                        uint8_t* room) {
  const uint8_t* integers = group + kScaleBytes;
  if (format == Format::kW8) return integers;
  if (format == Format::kW4) {
    decode_w4(integers, size, room);
  } else {
    decode_w3(integers, size, room);
  }
  return room;
}

/// Integer weights as floats, float(q) * scale, into rows of a panel (`kPanel` floats apart).
LLMPQ_INLINE void decode_integers(Format format, const uint8_t* group, int64_t size, float* panel) {
  alignas(64) uint8_t room[kQuads * kVector];
  const uint8_t* quads = group_quads(format, group, size, room);
  const int32_t bias = weight_bias(format);
  float scale[kTile];
  __builtin_memcpy(scale, group, sizeof(scale));
  for (int64_t quad = 0; quad < (size + 3) / 4; ++quad, quads += kVector) {
    uint32_t lanes[kTile];
    __builtin_memcpy(lanes, quads, sizeof(lanes));
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      float* row = panel + (4 * quad + j) * kPanel;
      for (int64_t o = 0; o < kTile; ++o) {
        const int32_t q = static_cast<int32_t>((lanes[o] >> (8 * j)) & 255u) - bias;
        row[o] = static_cast<float>(q) * scale[o];
      }
    }
  }
}

LLMPQ_INLINE void decode_bf16(const uint8_t* group, int64_t size, float* panel) {
  for (int64_t pair = 0; pair < (size + 1) / 2; ++pair, group += kVector) {
    uint32_t lanes[kTile];
    __builtin_memcpy(lanes, group, sizeof(lanes));
    float* even = panel + 2 * pair * kPanel;
    float* odd = even + kPanel;
    for (int64_t o = 0; o < kTile; ++o) even[o] = __builtin_bit_cast(float, lanes[o] << 16);
    for (int64_t o = 0; o < kTile; ++o) odd[o] = __builtin_bit_cast(float, lanes[o] & 0xffff0000u);
  }
}

LLMPQ_INLINE void decode_f16(const uint8_t* group, int64_t size, float* panel) {
  for (int64_t i = 0; i < size; ++i)
    store(panel + i * kPanel, load_f16(reinterpret_cast<const uint16_t*>(group) + i * kTile));
}

/// A group of a tile as f32: column o of row i of `panel` is weight [o, i]. Writes up to a multiple
/// of 4 rows.
LLMPQ_INLINE void decode_group(Format format, const uint8_t* group, int64_t size, float* panel) {
  if (format == Format::kBf16) return decode_bf16(group, size, panel);
  if (format == Format::kF16) return decode_f16(group, size, panel);
  decode_integers(format, group, size, panel);
}

}  // namespace
}  // namespace llmpq
