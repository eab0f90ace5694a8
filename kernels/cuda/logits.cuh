// How a team of blocks walks over a row of logits. The row is cut into as many runs of neighbours
// as the team has warps; in its run a warp goes from low to high ids, a pack of n per lane. So
// warps and lanes are in the order of the ids, every pass gives a thread the same elements, and a
// thread may change its own without a barrier. A logit that is not finite reads as kNever.
#pragma once

#include "kernels/cuda/floats.cuh"
#include "kernels/cuda/row_team.cuh"
#include "kernels/softmax.hpp"

namespace llmpq::cuda {

/// Ids [begin, end) of this warp: whole strides of 32 packs, the row's last ones excepted.
template <int n>
struct WarpRun {
  int begin, end;
  __device__ WarpRun(int vocab, const RowTeam& team) {
    const int strides = (vocab + kWarp * n - 1) / (kWarp * n);
    const int warps = team.threads() / kWarp, warp = team.thread() / kWarp;
    const int each = (strides + warps - 1) / warps * kWarp * n;
    begin = min(vocab, warp * each);
    end = min(vocab, begin + each);
  }
};

template <int n>
__device__ inline Floats<n> load_logits(const float* from) {
  Floats<n> values = load<n>(from);
#pragma unroll
  for (int k = 0; k < n; ++k) values.at[k] = finite_or_never(values.at[k]);
  return values;
}

/// A row of logits or weights, and who walks over it.
struct TeamRow {
  const float* values;
  int vocab;
  RowTeam& team;
};

/// visit(pack, id of its first, whether there is such a pack): all lanes of a warp together, so
/// that the visitor may use shuffles. Four loads are under way at a time.
template <int n, typename Visit>
__device__ void for_each_pack(const TeamRow& row, Visit visit) {
  constexpr int kAhead = 4;
  const WarpRun<n> run(row.vocab, row.team);
  for (int begin = run.begin; begin < run.end; begin += kAhead * kWarp * n) {
    Floats<n> values[kAhead]{};
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int id = begin + (a * kWarp + lane_id()) * n;
      if (id < run.end) values[a] = load_logits<n>(row.values + id);
    }
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int id = begin + (a * kWarp + lane_id()) * n;
      visit(values[a], id, id < run.end);
    }
  }
}

/// visit(value, id)
template <int n, typename Visit>
__device__ void for_each(const TeamRow& row, Visit visit) {
  for_each_pack<n>(row, [&](const Floats<n>& values, int id, bool there) {
    if (!there) return;
#pragma unroll
    for (int k = 0; k < n; ++k) visit(values.at[k], id + k);
  });
}

/// The largest logit of a row and the lowest id that has it; kNever if none is finite.
struct Best {
  float value;
  int id;
};

template <int n>
__device__ Best find_best(const TeamRow& row) {
  Best mine{kNever, 0};
  for_each<n>(row, [&](float value, int id) {
    if (value > mine.value) mine = {value, id};
  });
  // One number that orders like (value, -id).
  const uint64_t order =
      static_cast<uint64_t>(order_key(mine.value)) << 32 | ~static_cast<uint32_t>(mine.id);
  const uint64_t best = row.team.reduce(order, Max{});
  return {value_of_key(static_cast<uint32_t>(best >> 32)),
          static_cast<int>(~static_cast<uint32_t>(best))};
}

/// ln(sum exp(row)) into *result, in shared memory, with `max` the largest logit: a twin of
/// kernels/cpu/softmax.hpp.
template <int n>
__device__ void log_sum_exp(const TeamRow& row, float max, double* result) {
  uint64_t total = 0;
  for_each<n>(row, [&](float value, int) { total += mass(weight_of(value, max, 1.0f)); });
  total = row.team.reduce(total, Sum{});
  if (threadIdx.x == 0) *result = log_of_mass(max, total);  // once: doubles are slow on many GPUs
  __syncthreads();
}

}  // namespace llmpq::cuda
