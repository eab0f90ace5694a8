// Which layers stand on which rank, as ranges in pipeline order.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "plan/memory_model.hpp"

namespace llmpq {

struct StageRange {
  int rank = 0;
  int64_t layer_begin = 0, layer_end = 0;
};
using Layout = std::vector<StageRange>;

/// That many layers on ranks 0, 1, 2, ...
Layout counted_layout(std::span<const int64_t> layers_per_stage);
/// `stages` ranges whose lengths differ by one at most, the longer ones first.
Layout even_layout(int64_t layers, int64_t stages);
/// Ranks in order, each with as many layers as fit beside `kv_blocks` blocks, `most_layers` at
/// most; ranks on which none fits are left out. Nothing if not all layers find a place.
std::optional<Layout> packed_layout(const MemoryModel& model, int ranks, int64_t kv_blocks,
                                    int64_t most_layers);
/// The packed layout with the most KV blocks of [least, most], and for these the shortest longest
/// range. Nothing if not even `least` fit.
std::optional<Layout> roomiest_layout(const MemoryModel& model, int ranks, int64_t least,
                                      int64_t most);

/// The tightest stage's blocks; negative if a stage does not fit without any.
int64_t most_kv_blocks(const MemoryModel& model, const Layout& layout);

}  // namespace llmpq
