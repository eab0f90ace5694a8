// From what is known about model, machines and work to a plan. Every solver sits behind solve();
// a plan that a person wrote goes through complete_plan() instead. Pure: no MPI, files, clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "input/model_config.hpp"
#include "input/strategy.hpp"
#include "kernels/backend.hpp"
#include "plan/plan.hpp"

namespace llmpq {

/// The memory that a rank may fill, what it is called in tables ("cpu on node3"), and what
/// computes.
struct RankMemory {
  int64_t memory_bytes = 0;
  std::string device;
  BackendKind backend = BackendKind::kCpu;
  int compute_capability = 0;  ///< of a GPU
};

/// What the job's prompts ask for, in tokens. Lengths are of rows that can run (not of rows in
/// error).
struct Workload {
  int64_t sequences = 0;            ///< rows times samples
  int64_t max_sequence_tokens = 0;  ///< longest prompt + max_tokens of one row
};

/// What the user fixed by hand; everything left open is the solver's.
struct PlanWishes {
  std::vector<Format> formats;            ///< one for all layers, or one per layer; empty = open
  std::vector<int64_t> layers_per_stage;  ///< stage i on rank i; empty = open
  std::optional<Format> head_format;      ///< open: 16 bit
  std::optional<int32_t> prefill_tokens, decode_batch, lanes;
  std::optional<int32_t> kv_blocks;  ///< open: what the memory leaves and the workload can use
  std::optional<Mix> mix;
};

struct PlanRequest {
  std::string model;  ///< name of the model's folder
  const ModelConfig& config;
  std::vector<RankMemory> ranks;  ///< by world rank
  bool device_links = false;      ///< activations go from GPU to GPU, through buffers there
  int64_t max_model_len = 0;
  DType kv_type = DType::kBf16;
  int64_t kv_block_tokens = 16;
  Workload workload;
  PlanWishes wishes;
};

/// What 16 bit means for these ranks and this model.
Format format_16bit(const PlanRequest& request);

struct PlanResult {
  Plan plan;
  std::string reason;  ///< a sentence for the log: which formats and sizes, and why
};

/// By memory alone, without times (joint.hpp is the solver that knows them; strategies that need
/// them are as joint here). Error(kUsage): wishes that contradict each other, the model or the
/// ranks. Error(kNoPlan): nothing fits; the sentence holds the memory table and what would fit.
PlanResult solve(const PlanRequest& request, Strategy strategy);

/// A plan from a file: check_plan(), then the sizes that it leaves open (0) are chosen as solve()
/// would and its bytes are predicted. The request's wishes for sizes beat the file's; formats that
/// contradict it are Error(kUsage). Error(kNoPlan) if it does not fit.
PlanResult complete_plan(const PlanRequest& request, Plan plan);

}  // namespace llmpq
