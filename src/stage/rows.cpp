#include "stage/rows.hpp"

#include "kernels/check.hpp"

namespace llmpq {
namespace {

void check_range(const Step& step, const StepRange& range, const Sizes& sizes) {
  const int64_t end = int64_t{range.position} + range.rows;
  CHECK(range.rows > 0 && range.position >= 0 && end <= sizes.max_model_len, Exit::kMpi,
        "step {}: sequence {} has positions [{}, {}), the cache ends at {}", step.id,
        range.sequence, range.position, end, sizes.max_model_len);
  CHECK(range.blocks >= 0 && range.blocks * sizes.kv_block_tokens >= end, Exit::kMpi,
        "step {}: sequence {} needs {} tokens of cache and has {} blocks of {}", step.id,
        range.sequence, end, range.blocks, sizes.kv_block_tokens);
}

}  // namespace

Rows rows_of(const Step& step, const Sizes& sizes, int64_t kv_blocks) {
  CHECK(step.rows() <= sizes.max_rows, Exit::kMpi, "step {} has {} rows, the workspace {}", step.id,
        step.rows(), sizes.max_rows);
  CHECK(step.targets.empty() || static_cast<int64_t>(step.targets.size()) == step.rows(),
        Exit::kMpi, "step {} has {} rows and {} targets", step.id, step.rows(),
        step.targets.size());
  Rows rows;
  rows.tokens = step.tokens;
  rows.block_table = step.block_table;
  rows.positions.reserve(step.tokens.size());
  rows.ranges.reserve(step.ranges.size());
  int64_t begin = 0, table = 0;
  for (const StepRange& range : step.ranges) {
    check_range(step, range, sizes);
    rows.ranges.push_back(
        {static_cast<int32_t>(begin), range.rows, range.position, static_cast<int32_t>(table)});
    for (int32_t i = 0; i < range.rows; ++i) rows.positions.push_back(range.position + i);
    begin += range.rows;
    table += range.blocks;
    if (range.sample) rows.sampled.push_back(static_cast<int32_t>(begin - 1));
  }
  for (size_t row = 0; row < step.targets.size(); ++row)
    if (step.targets[row] >= 0) rows.sampled.push_back(static_cast<int32_t>(row));
  CHECK(begin == step.rows() && table == static_cast<int64_t>(step.block_table.size()), Exit::kMpi,
        "step {} has {} tokens and {} blocks, its ranges {} and {}", step.id, step.rows(),
        step.block_table.size(), begin, table);
  for (int32_t block : step.block_table)
    CHECK(block >= 0 && block < kv_blocks, Exit::kMpi, "step {}: block {} of {}", step.id, block,
          kv_blocks);
  CHECK(static_cast<int64_t>(rows.sampled.size()) <= sizes.max_samples, Exit::kMpi,
        "step {} samples {} rows, the workspace has room for {}", step.id, rows.sampled.size(),
        sizes.max_samples);
  return rows;
}

}  // namespace llmpq
