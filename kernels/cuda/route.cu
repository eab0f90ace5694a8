// Mixture of experts: a warp chooses a row's experts, then a block for each expert collects its
// rows. Which experts are chosen is as on the CPU; weights are a few ulp apart.
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launch.cuh"

namespace llmpq::cuda {
namespace {

constexpr int kWarps = 4;      ///< rows of a block
constexpr int kThreads = 256;  ///< that collect an expert's rows

/// What counts as larger: the logit, then the lower index. NaN is smaller than all numbers.
struct Choice {
  float logit;
  int expert;
};
__device__ bool before(const Choice& a, const Choice& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.expert < b.expert);
}
__device__ Choice first_of_warp(Choice choice) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const Choice other{__shfl_xor_sync(kWholeWarp, choice.logit, distance),
                       __shfl_xor_sync(kWholeWarp, choice.expert, distance)};
    if (before(other, choice)) choice = other;
  }
  return choice;
}

/// Grid (rows / kWarps): experts of each row ascending, with their weights.
__global__ void __launch_bounds__(kWarps* kWarp) choose_kernel(RouteArgs args) {
  begin_kernel();
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + warp_id();
  if (row >= args.rows) return;
  const int experts = static_cast<int>(args.experts), chosen = static_cast<int>(args.chosen);
  const float* logits = args.logits + row * experts;
  int32_t* expert = args.expert + row * chosen;
  float* weight = args.row_weight + row * chosen;
  float largest = -INFINITY, total = 0.0f;
  for (int e = lane_id(); e < experts; e += kWarp) largest = fmaxf(largest, logits[e]);
  largest = reduce_warp(largest, Max{});
  for (int e = lane_id(); e < experts; e += kWarp) total += expf(logits[e] - largest);
  total = reduce_warp(total, Sum{});

  Choice last{INFINITY, -1};
  for (int i = 0; i < chosen; ++i) {
    Choice best{-INFINITY, experts};
    for (int e = lane_id(); e < experts; e += kWarp) {
      const Choice mine{isnan(logits[e]) ? -INFINITY : logits[e], e};
      if (before(last, mine) && before(mine, best)) best = mine;
    }
    last = first_of_warp(best);
    if (lane_id() > 0) continue;
    int at = i;  // its place among those chosen so far
    for (; at > 0 && expert[at - 1] > last.expert; --at) expert[at] = expert[at - 1];
    expert[at] = last.expert;
  }
  if (lane_id() > 0) return;
  float sum = 0.0f;
  for (int i = 0; i < chosen; ++i) {
    weight[i] = expf(logits[expert[i]] - largest) / total;
    sum += weight[i];
  }
  if (args.normalized)
    for (int i = 0; i < chosen; ++i) weight[i] /= sum;
}

/// Grid (experts): entries of the expert in the order of their rows.
__global__ void __launch_bounds__(kThreads) collect_kernel(RouteArgs args) {
  begin_kernel();
  __shared__ int in_warp[kThreads / kWarp];
  const int expert = static_cast<int>(blockIdx.x);
  const int64_t entries = args.rows * args.chosen;
  int earlier = 0, mine = 0;
  for (int64_t i = threadIdx.x; i < entries; i += kThreads) {
    earlier += args.expert[i] < expert ? 1 : 0;
    mine += args.expert[i] == expert ? 1 : 0;
  }
  int next = block_sum(earlier);
  const int count = block_sum(mine);
  if (threadIdx.x == 0) {
    args.begin[expert] = next;
    if (expert + 1 == args.experts) args.begin[expert + 1] = next + count;
  }
  for (int64_t start = 0; start < entries; start += kThreads) {
    const int64_t i = start + threadIdx.x;
    const bool is_mine = i < entries && args.expert[i] == expert;
    const unsigned votes = __ballot_sync(kWholeWarp, is_mine);
    __syncthreads();  // the counts of the tile before have been read
    if (lane_id() == 0) in_warp[warp_id()] = __popc(votes);
    __syncthreads();
    int place = next;
    for (int w = 0; w < kThreads / kWarp; ++w) {
      if (w < warp_id()) place += in_warp[w];
      next += in_warp[w];
    }
    if (!is_mine) continue;
    place += __popc(votes & ((1u << lane_id()) - 1));
    args.row[place] = static_cast<int32_t>(i / args.chosen);
    args.weight[place] = args.row_weight[i];
  }
}

}  // namespace

/// Waits for the stream: how many rows each expert has decides what is launched next.
void route(StreamContext& context, const RouteArgs& args) {
  const auto bytes = static_cast<size_t>(args.experts + 1) * sizeof(int32_t);
  const auto blocks = static_cast<unsigned>(divide_up(args.rows, kWarps));
  launch_kernel(context, "route: choose", {blocks, kWarps * kWarp}, choose_kernel, args);
  launch_kernel(context, "route: collect", {static_cast<unsigned>(args.experts), kThreads},
                collect_kernel, args);
  CHECK_CUDA(
      cudaMemcpyAsync(args.host_begin, args.begin, bytes, cudaMemcpyDeviceToHost, context.stream));
  CHECK_CUDA(cudaStreamSynchronize(context.stream));
}

}  // namespace llmpq::cuda
