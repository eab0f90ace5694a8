// What all matrix products share: the items of a cut, and the end of a panel. Included after a
// lanes_*.hpp.
#pragma once

#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/pack.hpp"

namespace llmpq {
namespace {

/// multiply(panel, first row, last row) for items [begin, end) of a cut; rows are half-open.
template <typename Multiply>
LLMPQ_INLINE void for_items(const MatmulTask& task, const MatmulCut& cut, int64_t begin,
                            int64_t end, Multiply multiply) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t first = i / cut.panels * cut.rows, last = first + cut.rows;
    multiply(i % cut.panels, first, last < task.tokens ? last : task.tokens);
  }
}

/// The first of the two tiles of a panel, and whether there is a second.
LLMPQ_INLINE const uint8_t* first_tile(const MatmulTask& task, int64_t panel) {
  return task.packed + panel * 2 * task.tile_bytes;
}
LLMPQ_INLINE bool has_second(const MatmulTask& task, int64_t panel) {
  return panel * kPanel + kTile < task.n;
}

// Weights are asked for before they are read, and line by line between the products: the work on a
// group comes in bursts (decode, then multiply), which the hardware's own prefetching does not look
// through, and lines that are asked for in bursts hold up each other and all other loads.

/// How far ahead where 16-bit weights are multiplied as they are read: 100 ns at 40 GB/s. Where a
/// group is decoded first, it is the next group; few rows of integers have a distance of their own.
constexpr int64_t kAheadBytes = 4096;

/// acc + bias to y, for the outputs of a panel that exist.
LLMPQ_INLINE void finish_panel(const MatmulTask& task, int64_t panel, int64_t begin, int64_t end,
                               const float* acc) {
  for (int64_t first = panel * kPanel, part = 0; part < 2; ++part, first += kLanes) {
    const int64_t count = task.n - first < kLanes ? task.n - first : kLanes;
    if (count <= 0) return;
    const F32x16 bias =
        task.bias == nullptr ? broadcast(0.0f) : load_first(task.bias + first, count);
    for (int64_t t = begin; t < end; ++t) {
      F32x16 value = load(acc + (t - begin) * kPanel + part * kLanes);
      if (task.bias != nullptr) value = value + bias;
      store_first(task.y + t * task.y_stride + first, value, count);
    }
  }
}

}  // namespace
}  // namespace llmpq
