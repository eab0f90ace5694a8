// What carries activations from stage to stage, and why. Pure. Used by generate, eval and check.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "input/job.hpp"
#include "kernels/backend.hpp"

namespace llmpq {

enum class LinkKind : uint8_t { kMpi, kNccl };
constexpr std::string_view name(LinkKind kind) { return kind == LinkKind::kMpi ? "mpi" : "nccl"; }

/// One kind for all neighbours of a pipeline.
struct LinkChoice {
  LinkKind kind = LinkKind::kMpi;
  std::string reason;  ///< for the log: "rank 1 computes on its CPU"
};

/// A stage as its links see it.
struct LinkedStage {
  int rank = 0;
  BackendKind backend = BackendKind::kCpu;
  std::string uuid;          ///< of its GPU
  std::string why_no_links;  ///< Backend::why_no_links(): empty if it has NCCL
};

/// `stages` in the pipeline's order. NCCL where every stage computes on a GPU, neighbours on
/// different ones; else MPI, through host memory. Error(kUsage) where NCCL is wished and cannot be.
LinkChoice choose_link(LinkWish wish, const std::vector<LinkedStage>& stages);

}  // namespace llmpq
