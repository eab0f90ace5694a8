// PipeEdge's partition: given the format of each layer, where to cut so that the longest decode
// step of a stage (or transfer between two) is as short as it can be, on devices of unlike speed
// and memory, any of which may idle. Dynamic programming over (devices used, layers placed). It
// sees one phase only; prefill and the sums over stages do not matter to it.
#pragma once

#include <optional>
#include <vector>

#include "plan/device_graph.hpp"
#include "plan/evaluate.hpp"

namespace llmpq {

/// The orders of devices that are looked at.
struct SplitGraph {
  DeviceGraph graph;
  std::vector<int> order;  ///< of ranks, where the graph has only one; else empty
};

/// All orders, counted; where that takes too many states: groups one after the other, those with
/// fast decode steps first.
SplitGraph split_graph(const Problem& problem);

/// `formats` [layers]. Nothing if no partition keeps memory and has kernels.
std::optional<Assignment> bottleneck_split(const Problem& problem, const SplitGraph& graph,
                                           int batching, const std::vector<int>& formats);

}  // namespace llmpq
