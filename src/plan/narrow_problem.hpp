// Problems made from a problem by taking choices away: formats, mixes, splits. What is left keeps
// its numbers, so that an assignment of the narrow problem is one of the wide one. Used by joint.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "plan/problem.hpp"

namespace llmpq {

/// The formats that are left are those whose name passes. The others have no kernel any more.
Problem with_formats(const Problem& problem, const std::function<bool(const std::string&)>& keep);

/// Only the format of that index.
Problem with_only_format(const Problem& problem, size_t format);

/// Only some of the ways to cut the work.
struct FewerBatchings {
  Problem problem;
  std::vector<int> rows;  ///< [its batchings] the row that each was
};
FewerBatchings with_batchings(const Problem& problem, const std::function<bool(const Batching&)>&);

/// Stage i has the next layers_per_stage[i] layers and stands on rank i; other ranks have none.
/// Each stage's layers become classes of their own, for which only its rank has kernels. The counts
/// must add up to the layers.
Problem with_fixed_stages(const Problem& problem, std::span<const int64_t> layers_per_stage);

}  // namespace llmpq
