// Plans where devices are too many to be counted in the graph: a beam search that counts them
// itself and is guided by the priced cost-to-go.
#pragma once

#include "plan/box.hpp"

namespace llmpq {

/// Offers the best plan that the beam finds within the box. `bounds` and `path` are filled and
/// solved (forward) at the box's device prices; the cost-to-go is computed here.
void search_beam(const Problem& problem, const DeviceGraph& graph, StageBounds& bounds,
                 ShortestPath& path, const Box& box, Incumbent& incumbent);

}  // namespace llmpq
