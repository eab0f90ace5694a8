// LLM-PQ's bitwidth transfer, a local search: the slowest stage gives layers to another one, and
// the two exchange bits so that the model keeps what it has of each format.
#pragma once

#include "plan/evaluate.hpp"

namespace llmpq {

struct Transferred {
  Assignment assignment;
  int moves = 0;
};

/// From a plan that keeps the rules to one that no move improves. A move (p, q, k): one layer of
/// format p on the receiving stage becomes k layers of q there, and k layers of q on the slowest
/// stage become one of p, where k layers of q take about the bytes of one of p; k - 1 layers change
/// sides, and stages in between shift. For p = q one layer changes sides as it is. Which layer of a
/// stage has which of its formats is chosen for the least omega. Receivers are tried from the
/// fastest stage on; the first with an improvement takes its best move. A stage's load is
/// prefill_max p + decode_max d.
Transferred transfer_bits(const Problem& problem, const Assignment& start);

}  // namespace llmpq
