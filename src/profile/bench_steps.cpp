#include "profile/bench_steps.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace llmpq {
namespace {

constexpr int64_t kShortContext = 64;  ///< of rows whose number is varied
constexpr int64_t kLeastChunk = 8;
/// A stair is at least so high, as a share, and so much steeper than what is beside it.
constexpr double kStair = 0.08, kSteeper = 2;

/// `count` sequences that decode with so many tokens each, the new one too.
BenchStep decode(int64_t count, int64_t context) {
  BenchStep step;
  step.ranges.assign(static_cast<size_t>(count), {1, context - 1});
  return step;
}

/// A chunk of `sequences` prompts of equal length; none is shorter than two rows, which would make
/// it a decode row.
BenchStep prefill(int64_t rows, int64_t sequences, int64_t position) {
  BenchStep step;
  sequences = std::max<int64_t>(1, std::min(sequences, rows / 2));
  for (int64_t i = 0; i < sequences; ++i)
    step.ranges.push_back({(i + 1) * rows / sequences - i * rows / sequences, position});
  return step;
}

BenchStep mixed(int64_t decode_rows, int64_t context, int64_t prefill_rows, int64_t position) {
  BenchStep step = decode(decode_rows, context);
  step.ranges.push_back({prefill_rows, position});
  return step;
}

int64_t sequences_for(int64_t rows, const GridLimits& limits) {
  return (rows + limits.max_context - 1) / limits.max_context;
}

bool fits(const BenchStep& step, const GridLimits& limits) {
  for (const BenchRange& range : step.ranges)
    if (range.rows < 1 || range.position < 0 || range.position + range.rows > limits.max_context)
      return false;
  const StepShape shape = shape_of(step);
  return shape.rows() > 0 && shape.rows() <= limits.max_rows &&
         shape.decode_rows <= limits.max_sequences;
}

}  // namespace

StepShape shape_of(const BenchStep& step) {
  StepShape shape;
  for (const BenchRange& range : step.ranges) {
    const int64_t keys = keys_of(range.position, range.rows);
    (range.rows == 1 ? shape.decode_rows : shape.prefill_rows) += range.rows;
    (range.rows == 1 ? shape.decode_keys : shape.prefill_keys) += keys;
  }
  shape.samples = std::ssize(step.ranges);
  return shape;
}

int64_t blocks_of(const BenchStep& step, int64_t block_tokens) {
  int64_t blocks = 0;
  for (const BenchRange& range : step.ranges)
    blocks += (range.position + range.rows + block_tokens - 1) / block_tokens;
  return blocks;
}

std::vector<int64_t> doubling(int64_t most) {
  std::vector<int64_t> counts;
  for (int64_t count = 1; count < most; count *= 2) counts.push_back(count);
  counts.push_back(most);
  return counts;
}

BenchStep step_of_rows(RowKind kind, int64_t rows, const GridLimits& limits) {
  const bool as_decode =
      kind == RowKind::kDecode || (kind == RowKind::kAny && rows <= limits.max_sequences);
  BenchStep step = as_decode ? decode(rows, std::min(kShortContext, limits.max_context))
                             : prefill(rows, sequences_for(rows, limits), 0);
  return fits(step, limits) ? step : BenchStep{};
}

std::vector<std::vector<int64_t>> row_counts(RowKind kind, const GridLimits& limits) {
  const int64_t most = kind == RowKind::kDecode ? limits.max_sequences : limits.max_rows;
  const int64_t least = kind == RowKind::kPrefill ? std::min(kLeastChunk, most) : 1;
  std::vector<int64_t> coarse, fine, finest;
  int index = 0;
  for (const int64_t rows : doubling(most)) {
    if (rows < least) continue;
    (index++ % 3 == 0 || rows == most ? coarse : fine).push_back(rows);
    if (rows >= 2 && rows * 3 / 2 < most) finest.push_back(rows * 3 / 2);
  }
  return {coarse, fine, finest};
}

std::vector<int64_t> rows_at_stairs(std::vector<RowSeconds> points) {
  std::sort(points.begin(), points.end(),
            [](const RowSeconds& a, const RowSeconds& b) { return a.rows < b.rows; });
  const auto slope = [&](size_t i) {
    return (points[i + 1].seconds - points[i].seconds) /
           static_cast<double>(points[i + 1].rows - points[i].rows);
  };
  std::vector<int64_t> rows;
  for (size_t i = 0; i + 1 < points.size(); ++i) {
    if (points[i + 1].rows - points[i].rows < 2 ||
        points[i + 1].seconds < (1 + kStair) * points[i].seconds)
      continue;
    const double before = i > 0 ? slope(i - 1) : 0;
    const double after = i + 2 < points.size() ? slope(i + 1) : 0;
    if (slope(i) > kSteeper * std::max(before, after))
      rows.push_back((points[i].rows + points[i + 1].rows) / 2);
  }
  return rows;
}

std::vector<std::vector<BenchStep>> context_steps(const GridLimits& limits) {
  const int64_t context = limits.max_context;
  const auto at_context = [&](int64_t most) {
    std::vector<BenchStep> steps;
    for (int64_t count = 1; count <= limits.max_sequences; count *= 4)
      steps.push_back(decode(count, most));
    for (int64_t rows = 16; rows <= limits.max_rows; rows *= 4)
      steps.push_back(prefill(rows, 1, most - rows));
    return steps;
  };
  std::vector<std::vector<BenchStep>> parts{at_context(context / 2), {}, {}};
  for (int64_t rows = 32; rows <= limits.max_rows; rows *= 4)
    parts[1].push_back(
        mixed(std::min<int64_t>(rows / 4, limits.max_sequences), context / 2, rows - rows / 4, 0));
  for (int64_t rows = 16; rows <= limits.max_sequences; rows *= 4)
    parts[1].push_back(prefill(rows, 1, 0));  // beside decode rows of that number
  parts[2] = at_context(context / 8);
  for (BenchStep& step : at_context(context)) parts[2].push_back(std::move(step));
  for (int64_t rows = 32; rows <= limits.max_rows; rows *= 4)
    for (const int64_t sequences : {4, 16})
      if (rows / sequences >= 2) parts[2].push_back(prefill(rows, sequences, 0));
  for (auto& part : parts)
    std::erase_if(part, [&](const BenchStep& step) { return !fits(step, limits); });
  return parts;
}

std::vector<BenchStep> held_out_steps(const GridLimits& limits, uint64_t seed, int64_t count) {
  std::mt19937_64 random(seed);
  // Over the orders of magnitude, as sizes of steps lie; never a power of two, which the grid has.
  const auto draw = [&](int64_t least, int64_t most) {
    const double share = static_cast<double>(random() >> 11) * 0x1p-53;
    const double low = static_cast<double>(least),
                 high = static_cast<double>(std::max(most, least));
    return std::clamp(static_cast<int64_t>(std::round(low * std::pow(high / low, share))), least,
                      std::max(most, least));
  };
  std::vector<BenchStep> steps;
  const int64_t context = limits.max_context, rows = limits.max_rows;
  for (int64_t tries = 0; std::ssize(steps) < count && tries < 100 * count; ++tries) {
    BenchStep step;
    if (tries % 3 == 0) {
      for (int64_t i = draw(1, limits.max_sequences); i > 0; --i)
        step.ranges.push_back({1, draw(std::min<int64_t>(16, context), context) - 1});
    } else if (tries % 3 == 1) {
      const int64_t chunk = draw(8, rows);
      step = prefill(chunk, draw(1, 8), draw(1, context) - 1);
    } else {
      step = mixed(draw(1, limits.max_sequences), draw(std::min<int64_t>(16, context), context),
                   draw(8, rows), draw(1, context) - 1);
    }
    step.held_out = true;
    if (fits(step, limits)) steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace llmpq
