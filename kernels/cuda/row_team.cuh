// Who works on a row of logits: a block, or a cluster of up to eight, so that few rows keep all SMs
// busy. All numbers that blocks add up are integers: the result does not depend on how many they
// are.
#pragma once

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/instructions.cuh"
#include "kernels/cuda/scratch.hpp"

namespace llmpq::cuda {

/// Threads of a block that works on a row of logits: with more, its passes run out of registers.
inline constexpr int kRowThreads = 512;

struct RowTeam {
  int rank = 0, blocks = 1;
  /// What blocks leave for each other, [2 turns][blocks][kTeamNumbers]; not needed by one. Who
  /// writes for the turn after the next has met the others since they read.
  uint64_t* memory = nullptr;
  int number_turn = 0, bins_turn = 0;

  /// Threads of the team are counted from its first block's first.
  __device__ int thread() const { return rank * kRowThreads + static_cast<int>(threadIdx.x); }
  __device__ int threads() const { return blocks * kRowThreads; }
  __device__ void sync() const {
    if (blocks == 1)
      __syncthreads();
    else
      cluster_sync();
  }

  /// combine() over all threads, where 0 is without effect.
  template <typename Combine>
  __device__ uint64_t reduce(uint64_t value, Combine combine) {
    value = reduce_block(value, uint64_t{0}, combine);
    if (blocks == 1) return value;
    exchange(value);
    value = 0;
    for (int block = 0; block < blocks; ++block) value = combine(value, *at(number_turn, block));
    return value;
  }

  /// As that of a block (block.cuh), over the warps of the team.
  __device__ uint64_t sum_before_warp(uint64_t in_warp, uint64_t* total) {
    uint64_t before = cuda::sum_before_warp(in_warp, total);
    if (blocks == 1) return before;
    exchange(*total);
    *total = 0;
    for (int block = 0; block < blocks; ++block) {
      const uint64_t in_block = *at(number_turn, block);
      if (block < rank) before += in_block;
      *total += in_block;
    }
    return before;
  }

  /// The team's number in each of kBins bins from the block's. visit(bin) -> the block's;
  /// put(bin, team's). Threads see each other's after a barrier.
  template <typename Visit, typename Put>
  __device__ void add_up_bins(Visit visit, Put put) {
    bins_turn ^= 1;
    for (int bin = static_cast<int>(threadIdx.x); bin < kBins; bin += kRowThreads)
      at(bins_turn, rank)[1 + bin] = visit(bin);
    sync();
    for (int bin = static_cast<int>(threadIdx.x); bin < kBins; bin += kRowThreads) {
      uint64_t total = 0;
      for (int block = 0; block < blocks; ++block) total += at(bins_turn, block)[1 + bin];
      put(bin, total);
    }
  }

 private:
  __device__ uint64_t* at(int turn, int block) const {
    return memory + (turn * blocks + block) * kTeamNumbers;
  }
  /// Each block's number is seen by all.
  __device__ void exchange(uint64_t mine) {
    number_turn ^= 1;
    if (threadIdx.x == 0) *at(number_turn, rank) = mine;
    sync();
  }
};

}  // namespace llmpq::cuda
