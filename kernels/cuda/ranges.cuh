// How kernels find their work in a step's ranges, which lie in device memory: a whole warp reads
// the list together. Used by the KV writes and by attention.
#pragma once

#include <cuda_runtime.h>

#include "kernels/ops.hpp"

namespace llmpq::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffu;

/// A range of the list, and which of its items was looked for. rows is 0 if there is none.
struct FoundRange {
  RowRange range{};
  int item = 0;
};

__device__ inline FoundRange range_of_lane(const RowRange& range, int item, int lane) {
  FoundRange found;
  found.range.begin = __shfl_sync(kAllLanes, range.begin, lane);
  found.range.rows = __shfl_sync(kAllLanes, range.rows, lane);
  found.range.position = __shfl_sync(kAllLanes, range.position, lane);
  found.range.table = __shfl_sync(kAllLanes, range.table, lane);
  found.item = __shfl_sync(kAllLanes, item, lane);
  return found;
}

/// The range that holds token row `row` of the step; item is the row within it.
__device__ inline FoundRange find_row(const RowRange* list, int count, int row) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int begin = 0; begin < count; begin += 32) {
    RowRange range{};
    if (begin + lane < count) range = list[begin + lane];
    const bool holds = row >= range.begin && row - range.begin < range.rows;
    const unsigned holders = __ballot_sync(kAllLanes, holds);
    if (holders != 0) return range_of_lane(range, row - range.begin, __ffs(holders) - 1);
  }
  return {};
}

/// Ranges are made of items_of(range) items each, counted over the whole list: the range that holds
/// item `wanted`, and which of its own items that is.
template <typename ItemsOf>
__device__ inline FoundRange find_item(const RowRange* list, int count, int wanted,
                                       ItemsOf items_of) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int begin = 0; begin < count; begin += 32) {
    RowRange range{};
    if (begin + lane < count) range = list[begin + lane];
    const int items = range.rows > 0 ? items_of(range) : 0;
    int end = items;
    for (int step = 1; step < 32; step *= 2) {
      const int before = __shfl_up_sync(kAllLanes, end, step);
      if (lane >= step) end += before;
    }
    const unsigned past = __ballot_sync(kAllLanes, wanted < end);
    if (past != 0) return range_of_lane(range, wanted - (end - items), __ffs(past) - 1);
    wanted -= __shfl_sync(kAllLanes, end, 31);
  }
  return {};
}

}  // namespace llmpq::cuda
