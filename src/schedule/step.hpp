// A step: the micro-batch that moves through all stages of a pipeline. Made by the scheduler on
// rank 0, sent to every stage as bytes, executed by stage/. Every stage sees the same steps in the
// same order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "input/sampling.hpp"
#include "layer/step_shape.hpp"

namespace llmpq {

/// How prefill and decode share the pipeline (design: in waves, side by side, or in one step).
enum class Mix : uint8_t { kSeparated, kInterleaved, kMixed };
std::string_view name(Mix mix);
/// The mix of that name, or nothing.
std::optional<Mix> parse_mix(std::string_view text);

enum class StepKind : uint8_t { kPrefill, kDecode, kMixed };

/// What the last stage must know of a sequence before it chooses its first token. Travels with the
/// sequence's first rows (again after a preemption). Stop strings stay on rank 0.
struct SequenceStart {
  int64_t sequence = 0;
  int32_t prompt_tokens = 0;  ///< rows at positions from here on are output
  uint64_t row_seed = 0;
  int32_t sample = 0;
  Sampling sampling;  ///< stop strings left out
};

/// Consecutive rows of one sequence.
struct StepRange {
  int64_t sequence = 0;
  int32_t rows = 0;
  int32_t position = 0;  ///< of the first row
  int32_t blocks =
      0;  ///< entries of its block table, which cover positions 0 .. position + rows - 1
  bool sample = false;  ///< choose a token after the last row
};

struct Step {
  int64_t id = 0;  ///< 0, 1, 2, ... per pipeline
  int32_t pipeline = 0;
  StepKind kind = StepKind::kPrefill;
  int32_t lane = -1;                 ///< of the decode rows; -1 for a prefill chunk
  std::vector<int32_t> tokens;       ///< [rows], range after range
  std::vector<StepRange> ranges;     ///< decode rows first
  std::vector<int32_t> block_table;  ///< of all ranges, one after the other
  /// Scoring instead of generating: [rows], the token whose logprob is wanted after each row, -1 =
  /// none. Empty in steps that generate.
  std::vector<int32_t> targets;
  std::vector<SequenceStart> starts;
  std::vector<int64_t> ends;  ///< sequences that the last stage forgets, before it reads `starts`

  int64_t rows() const { return static_cast<int64_t>(tokens.size()); }
};

/// What the time of a step depends on, in layers with a sliding window of so many tokens (0: none).
/// Needs its ranges only, and its targets if it scores.
StepShape shape_of(const Step& step, int64_t window = 0);

/// What the last stage sends back for every step: one token per sampled range, in range order.
struct StepResult {
  int64_t id = 0;
  std::vector<int64_t> sequences;
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;         ///< [tokens]; of the raw distribution
  std::vector<int32_t> top_counts;     ///< [tokens]; K of that sequence or 0
  std::vector<int32_t> top_token_ids;  ///< [sum of top_counts]
  std::vector<float> top_logprobs;
  std::vector<float> scores;  ///< logprobs of the step's targets that are not -1, in row order
  // [scores], where another model's distributions are compared with these.
  std::vector<double> divergences;  ///< nats
  std::vector<uint8_t> same_tops;   ///< 1: both models find the same token the likeliest
};

/// Bytes on the wire and back; unpack throws Error(kMpi) on bytes that are no step.
std::vector<std::byte> pack(const Step& step);
std::vector<std::byte> pack(const StepResult& result);
Step unpack_step(std::span<const std::byte> bytes);
StepResult unpack_result(std::span<const std::byte> bytes);

}  // namespace llmpq
