// How the ranks of a job round: a result depends on it, so it is told, stored, and kept by
// --resume.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/mpi.hpp"
#include "input/job.hpp"
#include "kernels/backend.hpp"
#include "plan/plan.hpp"

namespace llmpq {

/// Of one rank: "cuda bf16", "cpu f32+int8": the backend, and the types to which inputs of products
/// are rounded before the formats of the plan; "bf16-pairs" where their sums have an order of their
/// own too. Every CPU can compute each of a CPU's classes, whatever its instruction set.
std::string arithmetic_class(const Backend& backend, const Plan& plan,
                             std::optional<ActivationType> wish);

/// The classes of the ranks that have a stage, by rank; empty for the others. Where they differ,
/// rank 0 logs it. Collective.
std::vector<std::string> gather_arithmetic(const Mpi& mpi, const std::string& mine);

/// {"0": "cuda bf16", "1": "cpu int8"}, for /run versions.
std::string arithmetic_json(const std::vector<std::string>& classes);

/// Error(kOutput) if these ranks have a class that `versions` of an output that is gone on with
/// does not tell of. One without any passes. `path` begins the sentence.
void check_arithmetic(const std::string& versions, const std::vector<std::string>& classes,
                      const std::string& path);

}  // namespace llmpq
