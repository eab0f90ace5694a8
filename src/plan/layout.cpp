#include "plan/layout.hpp"

#include <algorithm>
#include <limits>

namespace llmpq {

Layout counted_layout(std::span<const int64_t> layers_per_stage) {
  Layout layout;
  int64_t next = 0;
  for (int64_t count : layers_per_stage) {
    layout.push_back({static_cast<int>(layout.size()), next, next + count});
    next += count;
  }
  return layout;
}

Layout even_layout(int64_t layers, int64_t stages) {
  std::vector<int64_t> counts(static_cast<size_t>(stages), layers / stages);
  for (int64_t i = 0; i < layers % stages; ++i) ++counts[static_cast<size_t>(i)];
  return counted_layout(counts);
}

/// Taking the longest range that fits leaves the fewest layers to the ranks that follow, so if this
/// finds no layout in this order of ranks, there is none.
std::optional<Layout> packed_layout(const MemoryModel& model, int ranks, int64_t kv_blocks,
                                    int64_t most_layers) {
  Layout layout;
  int64_t next = 0;
  for (int rank = 0; rank < ranks && next < model.layers(); ++rank) {
    int64_t end = std::min(model.layers(), next + most_layers);
    while (end > next && !model.stage(rank, next, end, kv_blocks).fits()) --end;
    if (end == next) continue;
    layout.push_back({rank, next, end});
    next = end;
  }
  if (next < model.layers()) return std::nullopt;
  return layout;
}

std::optional<Layout> roomiest_layout(const MemoryModel& model, int ranks, int64_t least,
                                      int64_t most) {
  const int64_t layers = model.layers();
  if (!packed_layout(model, ranks, least, layers)) return std::nullopt;
  while (least < most) {
    const int64_t middle = least + (most - least + 1) / 2;
    if (packed_layout(model, ranks, middle, layers))
      least = middle;
    else
      most = middle - 1;
  }
  for (int64_t longest = (layers + ranks - 1) / ranks; longest < layers; ++longest)
    if (auto layout = packed_layout(model, ranks, least, longest)) return layout;
  return packed_layout(model, ranks, least, layers);
}

int64_t most_kv_blocks(const MemoryModel& model, const Layout& layout) {
  int64_t blocks = std::numeric_limits<int32_t>::max();
  for (const StageRange& stage : layout)
    blocks = std::min(blocks, model.most_kv_blocks(stage.rank, stage.layer_begin, stage.layer_end));
  return blocks;
}

}  // namespace llmpq
