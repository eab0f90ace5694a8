#include "kernels/cpu/route.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/context.hpp"

namespace llmpq {
namespace {

/// The chosen experts of one row, ascending, and their weights. Sums go over experts in order.
void route_row(const KernelTable& kernels, const RouteArgs& args, int64_t row,
               std::vector<float>& mass) {
  const float* logits = args.logits + row * args.experts;
  int32_t* expert = args.expert + row * args.chosen;
  float* weight = args.row_weight + row * args.chosen;
  mass.assign(logits, logits + args.experts);
  float largest = -std::numeric_limits<float>::infinity();
  for (float logit : mass) largest = std::max(largest, logit);
  for (float& logit : mass) logit -= largest;
  kernels.exp(mass.data(), args.experts, mass.data());
  float total = 0;
  for (float value : mass) total += value;

  const auto order = [&](int32_t e) { return std::isnan(logits[e]) ? -INFINITY : logits[e]; };
  std::vector<int32_t> all(static_cast<size_t>(args.experts));
  for (size_t e = 0; e < all.size(); ++e) all[e] = static_cast<int32_t>(e);
  std::partial_sort(all.begin(), all.begin() + args.chosen, all.end(), [&](int32_t a, int32_t b) {
    return order(a) != order(b) ? order(a) > order(b) : a < b;
  });
  std::sort(all.begin(), all.begin() + args.chosen);
  float chosen = 0;
  for (int64_t i = 0; i < args.chosen; ++i) {
    expert[i] = all[static_cast<size_t>(i)];
    weight[i] = mass[static_cast<size_t>(expert[i])] / total;
    chosen += weight[i];
  }
  if (args.normalized)
    for (int64_t i = 0; i < args.chosen; ++i) weight[i] /= chosen;
}

}  // namespace

void route(Context& context, const RouteArgs& args) {
  const KernelTable& kernels = cpu(context).kernels();
  const int64_t grain = std::max<int64_t>(1, 4096 / std::max<int64_t>(1, args.experts));
  cpu(context).pool().parallel_for(args.rows, grain, [&](int64_t begin, int64_t end, int) {
    std::vector<float> mass;
    for (int64_t row = begin; row < end; ++row) route_row(kernels, args, row, mass);
  });
  const int64_t entries = args.rows * args.chosen;
  std::fill_n(args.begin, args.experts + 1, 0);
  for (int64_t i = 0; i < entries; ++i) ++args.begin[args.expert[i] + 1];
  for (int64_t e = 0; e < args.experts; ++e) args.begin[e + 1] += args.begin[e];
  std::copy_n(args.begin, args.experts + 1, args.host_begin);
  std::vector<int32_t> next(args.begin, args.begin + args.experts);
  for (int64_t i = 0; i < entries; ++i) {
    const int32_t place = next[static_cast<size_t>(args.expert[i])]++;
    args.row[place] = static_cast<int32_t>(i / args.chosen);
    args.weight[place] = args.row_weight[i];
  }
}

}  // namespace llmpq
