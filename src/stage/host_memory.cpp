#include "stage/host_memory.hpp"

#include <algorithm>

#include "kernels/cpu/linear.hpp"

namespace llmpq {
namespace {

/// Activations that wait at each end of a stage, as a rule: a hold-up of the stage or of its
/// neighbour makes them more, a link's receiver takes eight at most.
constexpr int64_t kMessages = 2;
/// Stack and heap that a thread touches; the threads of a run besides those that compute are MPI's,
/// I/O, and the readers of the checkpoint, which have ended but leave theirs.
constexpr int64_t kThreadBytes = int64_t{256} << 10;
constexpr int kOtherThreads = 4;
constexpr int64_t kLeastScratch = int64_t{1} << 16;

/// Inputs of a product as the context keeps them (kernels/cpu/linear.cpp): int8 with a scale and a
/// sum per group, or floats again, or bf16 for tiles if the CPU has them.
int64_t rounded_bytes(const ScratchNeeds::Product& product, bool as_int8) {
  return as_int8 ? rounded_input_bytes(product.tokens, product.k)
                 : std::max(product.tokens * product.k * 4,
                            bf16_input_bytes(product.tokens, product.k));
}

int64_t scratch(const StageSetup& setup, const ScratchNeeds& needs) {
  const bool has_integers = !is_16bit(setup.head_format) ||
                            std::any_of(setup.plan.formats.begin(), setup.plan.formats.end(),
                                        [](Format format) { return !is_16bit(format); });
  const bool rounds_floats =
      setup.activation == ActivationType::kBf16 || setup.activation == ActivationType::kF16;
  int64_t most = kLeastScratch;
  if (has_integers || rounds_floats)
    for (const ScratchNeeds::Product& product : needs.products)
      most = std::max(most, rounded_bytes(product, !rounds_floats));
  return most;
}

}  // namespace

HostMemory predict_host_memory(const StageSetup& setup, const ModelConfig& config,
                               int64_t program_bytes, int64_t stage_bytes, int threads) {
  const Sizes& sizes = setup.sizes;
  const bool first = setup.plan.layer_begin == 0, last = setup.plan.layer_end == config.layers;
  const int64_t activations =
      first && last ? 0 : sizes.max_rows * config.hidden * int64_t{sizeof(float)};
  HostMemory memory;
  memory.program = program_bytes;
  memory.stage = stage_bytes;
  memory.staging = rows_bytes(sizes) + setup.kv_blocks * kTableEntryBytes +
                   (last ? chooser_bytes(config, sizes) : 0) + activations;
  memory.scratch = scratch(setup, scratch_needs(config, sizes, last));
  const int64_t ends = (first ? 0 : 1) + (last ? 0 : 1);
  memory.messages = ends * kMessages * activations;
  memory.threads = (threads + kOtherThreads) * kThreadBytes;
  return memory;
}

}  // namespace llmpq
