// Which steps the profiler times: a grid over rows and contexts that the model is fitted to, and
// others, held out, that tell how far it can be trusted. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "layer/step_shape.hpp"

namespace llmpq {

/// Consecutive rows of one sequence, whose earlier tokens are in the cache already.
struct BenchRange {
  int64_t rows = 1;
  int64_t position = 0;  ///< of the first row
};

struct BenchStep {
  std::vector<BenchRange> ranges;
  bool held_out = false;  ///< the fit does not see it
};

/// Ranges of one row count as decode rows, as in the layers' attention.
StepShape shape_of(const BenchStep& step);
/// KV blocks that the step's sequences fill.
int64_t blocks_of(const BenchStep& step, int64_t block_tokens);

/// How far the grid goes.
struct GridLimits {
  int64_t max_rows = 0;       ///< of a step
  int64_t max_sequences = 0;  ///< of a decode batch
  int64_t max_context = 0;    ///< tokens of a sequence
};

/// Which steps tell what a number of rows costs beside attention.
enum class RowKind : uint8_t {
  kAny,      ///< decode rows as long as there are so many sequences, then a chunk
  kDecode,   ///< a GPU runs these from a recording ...
  kPrefill,  ///< ... and these not: each has a curve of its own
};
/// A step of so many rows; has no ranges where the limits have none.
BenchStep step_of_rows(RowKind kind, int64_t rows, const GridLimits& limits);
/// Numbers of rows from 1 (kPrefill: 8) to the most, in three parts, each finer than the one
/// before: a short measurement leaves out the later ones.
std::vector<std::vector<int64_t>> row_counts(RowKind kind, const GridLimits& limits);

/// Of a curve that is being measured.
struct RowSeconds {
  int64_t rows = 0;
  double seconds = 0;
};
/// Rows between two neighbours where the curve climbs much steeper than beside them: kernels take
/// rows in tiles, and a straight line would miss the stair. `points` in any order.
std::vector<int64_t> rows_at_stairs(std::vector<RowSeconds> points);

/// Steps over contexts and batches, prefill and decode: what attention adds. In parts, like
/// row_counts().
std::vector<std::vector<BenchStep>> context_steps(const GridLimits& limits);
/// Rows, contexts and mixtures between those of the grid, drawn anew for each `seed`.
std::vector<BenchStep> held_out_steps(const GridLimits& limits, uint64_t seed, int64_t count);

/// 1, 2, 4, ... and at last `most` itself.
std::vector<int64_t> doubling(int64_t most);

}  // namespace llmpq
