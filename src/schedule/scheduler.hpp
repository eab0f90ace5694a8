// The scheduler: a pure state machine that turns waiting prompts, free KV blocks and returned
// tokens into steps. Driven by the pipeline with real stages, and by the simulator with predicted
// ones. No clock, no MPI, no text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "schedule/step.hpp"

namespace llmpq {

struct SchedulerConfig {
  Mix mix = Mix::kInterleaved;
  int32_t stages = 1;
  int32_t prefill_tokens = 256;  ///< rows of a prefill chunk
  int32_t decode_batch = 32;     ///< sequences of one lane
  int32_t lanes = 1;             ///< decode batches in flight
  int32_t chunks_in_flight = 0;  ///< prefill chunks under way at most; 0 = lanes + stages
  int32_t kv_blocks = 0;
  int32_t kv_block_tokens = 16;
};

/// The largest step that a scheduler makes: token rows, and rows that choose a token. The stages'
/// buffers are made for these.
int32_t max_step_rows(const SchedulerConfig& config);
int32_t max_step_samples(const SchedulerConfig& config);

/// What steps carry: all that stages need, or only which rows go where (Step::ranges and ends), for
/// those who count rows and time. The order of steps is the same.
enum class StepContents : uint8_t { kAll, kRanges };

/// A sequence that waits for its prefill.
struct SequenceRequest {
  std::vector<int32_t> tokens;  ///< the prompt, at least one; with kRanges none, see start
  int32_t max_tokens = 0;       ///< at most so many are generated
  int32_t expected_tokens = 0;  ///< admission keeps blocks for so many
  SequenceStart start;          ///< its prompt_tokens is filled in by add(), except with kRanges
};

/// A token that came back, and whether rank 0 ends the sequence with it.
struct ArrivedToken {
  int64_t sequence = 0;
  int32_t token = 0;
  bool finished = false;
};

struct SchedulerCounts {
  int64_t waiting = 0, prefilling = 0, decoding = 0;  ///< sequences
  int64_t steps_under_way = 0;
  int64_t free_blocks = 0;
  int64_t preemptions = 0;  ///< so far
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerConfig& config, StepContents contents = StepContents::kAll);
  ~Scheduler();
  Scheduler(Scheduler&&) noexcept;

  /// Error(kInternal) if the sequence could never fit into all blocks alone; see fits().
  void add(SequenceRequest request);
  /// Whether prompt + max_tokens fit into the pipeline's blocks when the sequence runs alone.
  bool fits(int64_t prompt_tokens, int64_t max_tokens) const;
  /// The next step that may start now; nothing = wait for arrived() or add(). To be called until
  /// it returns nothing. O(rows and blocks of the step).
  std::optional<Step> next_step();
  /// The step came back from the last stage, with one token per sampled range in range order.
  void arrived(int64_t step_id, std::span<const ArrivedToken> tokens);
  /// Forgets the sequences that wait and have no token of output yet; returns their ids.
  std::vector<int64_t> drop_waiting();
  SchedulerCounts counts() const;
  /// Nothing waits and nothing is under way.
  bool idle() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace llmpq
