// Outputs into other files: shards of one job into one output, and an output into JSONL, CSV or
// text. Used by the command convert.
#pragma once

#include <filesystem>
#include <vector>

#include "input/convert.hpp"

namespace llmpq {

/// The files in the order of the row ranges that they store. Error(kOutput) names the two files
/// between which rows are missing or there twice, or which have another number of samples or
/// another kind of logprobs.
std::vector<std::filesystem::path> in_row_order(std::vector<std::filesystem::path> shards);

/// Writes one output from shards in row order: /run/plans are joined and /plan_index renumbered,
/// /run/times become an array; job, profile and versions are the first shard's. Durable at the end.
void join_results(const std::vector<std::filesystem::path>& shards,
                  const std::filesystem::path& to);

/// Writes outputs in row order as JSONL (all there is), CSV (all but tokens and logprobs) or plain
/// text (one text a line). Durable at the end. Error(kOutput), besides, at an id that JSON cannot
/// hold.
void export_results(const std::vector<std::filesystem::path>& results,
                    const std::filesystem::path& to, FileKind kind);

}  // namespace llmpq
