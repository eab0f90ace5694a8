// B of wgmma in shared memory, as a 64-bit descriptor tells (PTX ISA, "Matrix descriptor" and
// "Shared memory matrix layout"): rows of 16 halves along k, swizzled by 128 bytes. Nothing here
// knows of threads.
#pragma once

#include <cstdint>

#include "fragments.hpp"

namespace llmpq::emulated {

struct MatrixDescriptor {
  uint32_t address;       ///< of shared memory, of the first row's first number
  uint32_t eights_bytes;  ///< from eight rows to the next eight
  uint32_t base_offset, swizzle;

  static MatrixDescriptor of(uint64_t bits) {
    const auto field = [&](int at, int count) {
      return static_cast<uint32_t>(bits >> at & ((uint64_t{1} << count) - 1));
    };
    return {field(0, 14) << 4, field(32, 14) << 4, field(49, 3), field(62, 2)};
  }

  /// What is wrong with it; nullptr: nothing. Only what the kernels use is understood.
  const char* check() const {
    if (swizzle != 1) return "a matrix descriptor wants swizzling by 128 bytes";
    if (base_offset != 0 || (address & 0x380) != 0 || eights_bytes % 1024 != 0)
      return "a swizzled matrix wants eights of rows at multiples of 1024 bytes";
    if ((address & 0x7f) > 96) return "16 halves of a swizzled matrix lie within 128 bytes";
    return nullptr;
  }

  /// Where the `part`-th 16 bytes (0, 1) of row `row` are: bits 4..6 of an address are exchanged by
  /// its bits 7..9.
  uint32_t part_address(int row, int part) const {
    const uint32_t plain = address + static_cast<uint32_t>(row / 8) * eights_bytes +
                           static_cast<uint32_t>(row % 8 * 128 + part * 16);
    return plain ^ (plain >> 3 & 0x70);
  }
};

/// The matrix; its rows in memory are columns of the product. read(address) is where 16 bytes of
/// shared memory lie.
template <Half kType, int kColumns, typename Read>
MatrixB<kColumns> read_matrix(const MatrixDescriptor& descriptor, Read read) {
  MatrixB<kColumns> result;
  for (int row = 0; row < kColumns; ++row)
    for (int part = 0; part < 2; ++part) {
      const auto* halves = static_cast<const uint16_t*>(read(descriptor.part_address(row, part)));
      for (int i = 0; i < 8; ++i) result[8 * part + i][row] = widened<kType>(halves[i]);
    }
  return result;
}

}  // namespace llmpq::emulated
