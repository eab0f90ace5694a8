// The largest values of a row without sorting it, by a team of blocks: a twin of
// kernels/cpu/select.hpp. Sums are integers, so the answer is the CPU's whatever the order of the
// threads.
#pragma once

#include "kernels/cuda/logits.cuh"

namespace llmpq::cuda {

/// Keeps every value whose order_key is above `key`, and the first `ties` of those equal to it.
struct Cut {
  uint32_t key = 0;
  uint64_t ties = ~uint64_t{0};
  bool splits_ties = false;  ///< not all that are equal to the key are kept
};

/// 64-bit sums in shared memory, made of 32-bit atomics, which are native there.
struct Histogram {
  uint32_t low[kBins], high[kBins];

  __device__ void clear() {
    for (int i = static_cast<int>(threadIdx.x); i < kBins; i += static_cast<int>(blockDim.x))
      low[i] = high[i] = 0;
  }
  /// The old value tells whether the low half went past 2^32: each such carry is added once.
  __device__ void add(uint32_t bin, uint64_t amount) {
    const auto part = static_cast<uint32_t>(amount);
    const uint32_t before = atomicAdd(&low[bin], part);
    const uint32_t carry = before + part < before ? 1 : 0;
    const uint32_t upper = static_cast<uint32_t>(amount >> 32) + carry;
    if (upper != 0) atomicAdd(&high[bin], upper);
  }
  __device__ uint64_t sum(int bin) const {
    return static_cast<uint64_t>(high[bin]) << 32 | low[bin];
  }
  /// Each block's becomes that of all.
  __device__ void add_up(RowTeam& team) {
    if (team.blocks == 1) return;
    team.add_up_bins([&](int bin) { return sum(bin); },
                     [&](int bin, uint64_t total) {
                       low[bin] = static_cast<uint32_t>(total);
                       high[bin] = static_cast<uint32_t>(total >> 32);
                     });
    __syncthreads();
  }
};

/// The block's only one, whatever it counts.
__device__ inline Histogram& shared_histogram() {
  __shared__ Histogram sums;
  return sums;
}

/// A thread's last bin with what it has to get: a run of equal digits needs one atomic.
struct PendingSum {
  uint32_t bin = 0;
  uint64_t amount = 0;

  __device__ void add(Histogram& sums, uint32_t to, uint64_t more) {
    if (to != bin) {
      flush(sums);
      bin = to;
    }
    amount += more;
  }
  __device__ void flush(Histogram& sums) {
    if (amount != 0) sums.add(bin, amount);
    amount = 0;
  }
};

/// The bin in which the sum from the last bin downwards reaches `wanted`.
struct ReachedBin {
  int bin;        ///< -1: all of them together do not reach it
  uint64_t left;  ///< of `wanted`, for that bin
  uint64_t in_bin;
};

/// A thread looks at neighbouring bins, the first thread at the last of all.
__device__ inline ReachedBin find_bin(const Histogram& sums, uint64_t wanted) {
  constexpr int kEach = kBins / kRowThreads;
  __shared__ ReachedBin reached;
  if (threadIdx.x == 0) reached = {-1, 0, 0};
  const int last = kBins - 1 - kEach * static_cast<int>(threadIdx.x);
  uint64_t mine = 0, total;
  for (int i = 0; i < kEach; ++i) mine += sums.sum(last - i);
  const uint64_t up_to = sum_up_to_lane(mine);
  const uint64_t in_warp = __shfl_sync(kWholeWarp, up_to, kWarp - 1);
  const uint64_t above = sum_before_warp(in_warp, &total) + up_to - mine;
  if (above < wanted && wanted - above <= mine) {
    uint64_t left = wanted - above;
    int bin = last;
    for (; left > sums.sum(bin); --bin) left -= sums.sum(bin);
    reached = {bin, left, sums.sum(bin)};
  }
  __syncthreads();
  return reached;
}

/// Three digits of 11, 11 and 10 bits, the highest first, as on the CPU. Every thread calls it and
/// gets the cut. measure(value): how much of `wanted` it is.
template <int n, typename Measure>
__device__ Cut find_cut(const TeamRow& row, uint64_t wanted, Measure measure) {
  Histogram& sums = shared_histogram();
  uint32_t found = 0, known = 0;  // the key's digits so far, and the mask of their bits
  ReachedBin reached;
  for (int digit = 0; digit < 3; ++digit) {
    const int shift = digit == 0 ? 21 : digit == 1 ? 10 : 0;
    const uint32_t digit_mask = digit == 2 ? 1023 : 2047;
    __syncthreads();
    sums.clear();
    __syncthreads();
    PendingSum pending;
    for_each<n>(row, [&](float value, int) {
      const uint32_t key = order_key(value);
      if ((key & known) == found) pending.add(sums, key >> shift & digit_mask, measure(value));
    });
    pending.flush(sums);
    __syncthreads();
    sums.add_up(row.team);
    reached = find_bin(sums, wanted);
    if (reached.bin < 0) return {};
    wanted = reached.left;
    found |= static_cast<uint32_t>(reached.bin) << shift;
    known |= digit_mask << shift;
  }
  // The values left are equal: as many of them as it takes.
  const uint64_t each = measure(value_of_key(found)), ties = (wanted + each - 1) / each;
  return {found, ties, ties * each < reached.in_bin};
}

/// The cut that keeps the `count` largest values (all if there are fewer). count >= 1.
template <int n>
__device__ Cut cut_by_count(const TeamRow& row, int count) {
  if (count >= row.vocab) return {};
  return find_cut<n>(row, static_cast<uint64_t>(count), [](float) { return uint64_t{1}; });
}

/// The cut that keeps the fewest largest weights whose masses reach `wanted`. wanted >= 1.
template <int n>
__device__ Cut cut_by_mass(const TeamRow& weights, uint64_t wanted) {
  return find_cut<n>(weights, wanted, [](float weight) { return mass(weight); });
}

/// How many values equal to the key lie in the runs of earlier warps.
template <int n>
__device__ uint64_t ties_before_warp(uint32_t key, const TeamRow& row) {
  uint64_t mine = 0, total;
  for_each<n>(row, [&](float value, int) { mine += order_key(value) == key ? 1 : 0; });
  return row.team.sum_before_warp(reduce_warp(mine, Sum{}), &total);
}

/// visit(pack, id of its first, bits of those of the pack that the cut keeps).
template <int n, typename Visit>
__device__ void for_each_cut(const Cut& cut, const TeamRow& row, Visit visit) {
  uint64_t ties = cut.splits_ties ? ties_before_warp<n>(cut.key, row) : 0;
  for_each_pack<n>(row, [&](const Floats<n>& pack, int id, bool there) {
    unsigned above = 0, equal = 0;
#pragma unroll
    for (int k = 0; k < n; ++k) {
      const uint32_t key = order_key(pack.at[k]);
      above |= there && key > cut.key ? 1u << k : 0u;
      equal |= there && key == cut.key ? 1u << k : 0u;
    }
    if (cut.splits_ties) {
      const uint64_t up_to = sum_up_to_lane(static_cast<uint64_t>(__popc(equal)));
      uint64_t rank = ties + up_to - static_cast<uint64_t>(__popc(equal));
      ties += __shfl_sync(kWholeWarp, up_to, kWarp - 1);
#pragma unroll
      for (int k = 0; k < n; ++k)
        if ((equal >> k & 1u) != 0 && rank++ >= cut.ties) equal &= ~(1u << k);
    }
    if (there) visit(pack, id, above | equal);
  });
}

}  // namespace llmpq::cuda
