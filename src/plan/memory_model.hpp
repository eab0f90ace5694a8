// The memory model: bytes of every stage, by the formulas that the stages allocate by
// (layer/memory.hpp), and the budget of every rank.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "plan/solve.hpp"

namespace llmpq {

/// Bytes of one stage by what they are for.
struct StageMemory {
  int rank = 0;
  int64_t weights = 0;  ///< decoder layers with scales
  int64_t kv_cache = 0;
  int64_t workspace = 0;
  int64_t embedding = 0;  ///< the first stage's
  int64_t head = 0;       ///< the last stage's
  int64_t budget = 0;     ///< of the rank, margin taken off

  int64_t fixed() const { return weights + workspace + embedding + head; }
  int64_t total() const { return fixed() + kv_cache; }
  bool fits() const { return total() <= budget; }
};

/// What a rank may fill: its memory less one part in fifty, for the rounding of allocators and for
/// what grows while the job runs (sampler state of the sequences, messages under way).
int64_t budget_of(const RankMemory& rank);

/// Bytes of ranges of layers, in constant time, for one choice of formats and sizes.
class MemoryModel {
 public:
  /// `formats`: one per layer of the model.
  MemoryModel(const PlanRequest& request, std::span<const Format> formats, Format head_format,
              const Sizes& sizes);

  /// The stage with layers [begin, end) on a rank.
  StageMemory stage(int rank, int64_t begin, int64_t end, int64_t kv_blocks) const;
  /// The most KV blocks that fit beside the stage's other bytes; negative if not even those fit.
  int64_t most_kv_blocks(int rank, int64_t begin, int64_t end) const;
  int64_t layers() const { return layers_; }

 private:
  /// What depends on how a kind of backend packs weights and what its operations take.
  struct KindBytes {
    std::vector<int64_t> weights{0};  ///< [layers + 1] of the layers before
    int64_t workspace = 0, last_workspace = 0;
    int64_t embedding = 0, head = 0;
  };
  /// Of one KV block on a stage: its layers' parts and the stage's table entry.
  int64_t block_bytes(int64_t begin, int64_t end) const {
    return (end - begin) * kv_block_ + kTableEntryBytes;
  }

  std::vector<int64_t> budgets_;    ///< by rank
  std::vector<BackendKind> kinds_;  ///< by rank
  std::array<KindBytes, 2> of_kind_;
  int64_t layers_ = 0;
  int64_t kv_block_ = 0;  ///< of one layer
  int64_t link_ = 0;      ///< of one device link; 0 without
};

/// Bytes of every stage of the first pipeline: exactly what the stages will allocate.
std::vector<StageMemory> predict_memory(const PlanRequest& request, const Plan& plan);

}  // namespace llmpq
