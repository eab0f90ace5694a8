// Choosing tokens and scoring them: a twin of kernels/cpu/sample.cpp, with the same bits. One
// block, or a team of them, works on a row from its logits to its token, so rows cost no launches
// and nothing depends on what a row asks for but the passes over it. The logits stay as they are:
// what is changed is a copy.
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/scratch.hpp"
#include "kernels/cuda/select.cuh"

namespace llmpq::cuda {
namespace {

constexpr int kMostTop = 32;         ///< logprobs of a row: more than the 20 that options allow
constexpr int64_t kLeastIds = 8192;  ///< of a row, for a block of a team

struct RowTask {
  const float* raw;  ///< [vocab], only read
  float* work;       ///< [vocab], for a row whose logits are changed or become weights
  int vocab;
  RowTeam& team;

  __device__ TeamRow of(const float* values) const { return {values, vocab, team}; }
};

/// `work` becomes the raw logits after mask and penalties; returns its best. Where every token that
/// may come is masked, the mask is left out: then it is only masked ones that penalties can change.
template <int n>
__device__ Best adjust(const SampleArgs& args, const SampleRow& row, const RowTask& task) {
  const int first = task.team.thread(), step = task.team.threads();
  const auto penalize = [&] {
    task.team.sync();
    for (int i = row.counted_begin + first; i < row.counted_end; i += step) {
      const TokenCount counted = args.counted[i];
      task.work[counted.token] = penalized(task.work[counted.token], row, counted.count);
    }
    task.team.sync();
    return find_best<n>(task.of(task.work));
  };
  for_each_pack<n>(task.of(task.raw), [&](const Floats<n>& values, int id, bool there) {
    if (there) store(task.work + id, values);
  });
  task.team.sync();
  for (int i = row.masked_begin + first; i < row.masked_end; i += step)
    task.work[args.masked[i]] = kNever;
  const Best best = penalize();
  if (best.value != kNever) return best;
  for (int i = row.masked_begin + first; i < row.masked_end; i += step)
    task.work[args.masked[i]] = finite_or_never(task.raw[args.masked[i]]);
  return penalize();
}

/// `logits` (task.raw or task.work) to weights in task.work, those of what top-k and min-p leave
/// out are 0. Returns the mass of this thread's weights.
template <int n>
__device__ uint64_t make_weights(const SampleRow& row, const float* logits, float max,
                                 const RowTask& task) {
  const Cut cut = row.top_k > 0 ? cut_by_count<n>(task.of(logits), row.top_k) : Cut{};
  const float least = least_weight(row.min_p);
  uint64_t total = 0;
  for_each_cut<n>(cut, task.of(logits), [&](Floats<n> values, int id, unsigned kept) {
#pragma unroll
    for (int k = 0; k < n; ++k) {
      float weight = (kept >> k & 1u) != 0 ? weight_of(values.at[k], max, row.temperature) : 0.0f;
      if (least > 0 && weight < least) weight = 0.0f;
      values.at[k] = weight;
      total += mass(weight);
    }
    store(task.work + id, values);
  });
  return total;
}

/// Weights beyond the nucleus become 0; `mine` is the mass of this thread's weights before, the
/// result what is left of it.
template <int n>
__device__ uint64_t keep_nucleus(float top_p, uint64_t mine, const RowTask& task) {
  const uint64_t wanted = nucleus_mass(top_p, task.team.reduce(mine, Sum{}));
  const Cut cut = cut_by_mass<n>(task.of(task.work), wanted);
  uint64_t total = 0;
  for_each_cut<n>(cut, task.of(task.work), [&](Floats<n> values, int id, unsigned kept) {
#pragma unroll
    for (int k = 0; k < n; ++k) {
      if ((kept >> k & 1u) == 0) values.at[k] = 0.0f;
      total += mass(values.at[k]);
    }
    if (kept != (1u << n) - 1) store(task.work + id, values);
  });
  return total;
}

/// A warp finds the id at which the masses of its run, added up, pass `left`.
template <int n>
__device__ void find_drawn(uint64_t left, const RowTask& task, int* token) {
  bool done = false;
  for_each_pack<n>(task.of(task.work), [&](const Floats<n>& weights, int id, bool there) {
    if (done) return;
    uint64_t in_pack = 0;
#pragma unroll
    for (int k = 0; k < n; ++k) in_pack += there ? mass(weights.at[k]) : 0;
    const uint64_t up_to = sum_up_to_lane(in_pack);
    const unsigned past = __ballot_sync(kWholeWarp, left < up_to);
    if (past == 0) {
      left -= __shfl_sync(kWholeWarp, up_to, kWarp - 1);
      return;
    }
    done = true;
    if (lane_id() != __ffs(past) - 1) return;
    uint64_t rest = left - (up_to - in_pack);
    int k = 0;
    for (uint64_t m = mass(weights.at[0]); rest >= m && k + 1 < n; m = mass(weights.at[k])) {
      rest -= m;
      ++k;
    }
    *token = id + k;
  });
}

/// Inverse of the cumulative distribution over ascending ids; `mine` is the mass of this thread's
/// weights in task.work.
template <int n>
__device__ int draw(uint64_t bits, uint64_t mine, const RowTask& task) {
  __shared__ int token;  // of the one block that finds it
  if (threadIdx.x == 0) token = 0;
  uint64_t total;
  const uint64_t in_warp = reduce_warp(mine, Sum{});
  const uint64_t before = task.team.sum_before_warp(in_warp, &total);
  const uint64_t drawn = drawn_mass(bits, total);
  if (drawn >= before && drawn - before < in_warp) find_drawn<n>(drawn - before, task, &token);
  __syncthreads();
  return static_cast<int>(task.team.reduce(static_cast<uint64_t>(token), Max{}));
}

/// The `wanted` likeliest of row `r` with their logprobs; what is left of the `top` places gets -1
/// and 0. By one block.
template <int n>
__device__ void put_top(const SampleArgs& args, int64_t r, int wanted, const double& log_sum,
                        const float* raw) {
  RowTeam alone;
  const TeamRow row{raw, static_cast<int>(args.vocab), alone};
  __shared__ uint64_t list[kMostTop];  // of numbers that order like (value, -id)
  __shared__ int count;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  if (wanted > 0) {
    const Cut cut = cut_by_count<n>(row, wanted);
    for_each_cut<n>(cut, row, [&](Floats<n> values, int id, unsigned kept) {
      for (int k = 0; k < n; ++k)
        if ((kept >> k & 1u) != 0)
          list[atomicAdd(&count, 1)] =
              static_cast<uint64_t>(order_key(values.at[k])) << 32 | ~static_cast<uint32_t>(id + k);
    });
    __syncthreads();
  }
  const auto i = static_cast<int>(threadIdx.x);
  if (i >= args.top) return;
  const int64_t first = r * args.top;
  int place = i;
  int32_t id = -1;
  if (i < count) {
    place = 0;
    for (int other = 0; other < count; ++other) place += list[other] > list[i] ? 1 : 0;
    id = static_cast<int32_t>(~static_cast<uint32_t>(list[i]));
  }
  args.top_ids[first + place] = id;
  args.top_logprobs[first + place] = id < 0 ? 0.0f : logprob_of(finite_or_never(raw[id]), log_sum);
}

/// The token for a row that has a finite logit; `best` is the best of the raw ones.
template <int n>
__device__ int choose(const SampleArgs& args, const SampleRow& row, Best best,
                      const RowTask& task) {
  const bool adjusted = row.masked_begin < row.masked_end || row.counted_begin < row.counted_end;
  if (adjusted) best = adjust<n>(args, row, task);
  if (!(row.temperature > 0)) return best.id;
  uint64_t mine = make_weights<n>(row, adjusted ? task.work : task.raw, best.value, task);
  if (row.top_p < 1) mine = keep_nucleus<n>(row.top_p, mine, task);
  return draw<n>(row.bits, mine, task);
}

template <int n>
__global__ void __launch_bounds__(kRowThreads, 2)
    sample_kernel(SampleArgs args, float* work, uint64_t* team_memory, int of_row) {
  begin_kernel();
  const int blocks = has_clusters() ? of_row : 1;
  const int64_t r = static_cast<int64_t>(blockIdx.x) / blocks, begin = r * args.vocab;
  RowTeam team{static_cast<int>(blockIdx.x) % blocks, blocks,
               team_memory + r * blocks * 2 * kTeamNumbers};
  const SampleRow& row = args.sample[r];  // read where it is needed: registers are scarce
  const RowTask task{args.logits + begin, work + begin, static_cast<int>(args.vocab), team};
  const Best best = find_best<n>(task.of(task.raw));
  const bool any = best.value != kNever;
  const bool wants_logprobs = any && row.logprobs > 0;
  __shared__ double log_sum;
  if (wants_logprobs) log_sum_exp<n>(task.of(task.raw), best.value, &log_sum);
  if (args.top > 0 && team.rank == 0) {
    const int wanted = wants_logprobs && row.logprobs > 1 ? row.logprobs : 0;
    put_top<n>(args, r, min(wanted, static_cast<int>(min(args.top, args.vocab))), log_sum,
               task.raw);
  }
  const int token = any ? choose<n>(args, row, best, task) : -1;
  if (team.thread() != 0) return;
  args.tokens[r] = token;
  args.logprobs[r] = wants_logprobs ? logprob_of(task.raw[token], log_sum) : 0.0f;
}

template <int n>
__global__ void __launch_bounds__(kRowThreads) score_kernel(ScoreArgs args) {
  begin_kernel();
  const int64_t r = blockIdx.x;
  const float* row = args.logits + r * args.vocab;
  RowTeam alone;
  const TeamRow view{row, static_cast<int>(args.vocab), alone};
  const Best best = find_best<n>(view);
  __shared__ double log_sum;
  log_sum_exp<n>(view, best.value, &log_sum);
  if (threadIdx.x != 0) return;
  const float logit = finite_or_never(row[args.targets[r]]);
  args.scores[r] = best.value == kNever ? __uint_as_float(0x7fc00000u) : logprob_of(logit, log_sum);
}

/// Blocks for each row: at most two for each SM in all, each with enough to do.
int team_blocks(const StreamContext& context, int64_t rows, int64_t vocab) {
  int64_t blocks = 1;
  const int64_t most = std::min<int64_t>(2 * context.session->sms, kMostTeamBlocks);
  if (context.session->code_version >= 90)
    while (2 * blocks <= kMostTeam && 2 * blocks * rows <= most && 2 * blocks * kLeastIds <= vocab)
      blocks *= 2;
  return static_cast<int>(blocks);
}

}  // namespace

void sample(StreamContext& context, const SampleArgs& args) {
  if (args.rows <= 0) return;
  if (args.top > kMostTop)
    raise(kInternal, "sample: %lld likeliest tokens wanted, there are at most %d",
          static_cast<long long>(args.top), kMostTop);
  Scratch scratch(context, sample_scratch_bytes(args.rows, args.vocab));
  float* work = scratch.take<float>(args.rows * args.vocab);
  const int blocks = team_blocks(context, args.rows, args.vocab);
  auto* team_memory = scratch.take<uint64_t>(team_bytes(args.rows) / 8);
  const auto kernel =
      packs_of_four(args.vocab, args.logits, work) ? sample_kernel<4> : sample_kernel<1>;
  Grid grid{static_cast<unsigned>(args.rows * blocks), kRowThreads};
  grid.cluster_blocks = static_cast<unsigned>(blocks);
  launch_kernel(context, "sample", grid, kernel, args, work, team_memory, blocks);
}

void score(StreamContext& context, const ScoreArgs& args) {
  if (args.rows <= 0) return;
  const auto kernel = packs_of_four(args.vocab, args.logits) ? score_kernel<4> : score_kernel<1>;
  launch_kernel(context, "score", {static_cast<unsigned>(args.rows), kRowThreads}, kernel, args);
}

}  // namespace llmpq::cuda
