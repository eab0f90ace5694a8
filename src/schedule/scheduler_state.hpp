// What the scheduler knows between two calls, and what it does with it. The order of steps is
// decided in scheduler.cpp; scheduler_state.cpp builds steps and moves sequences about.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "schedule/kv_holdings.hpp"
#include "schedule/scheduler.hpp"
#include "schedule/sequence.hpp"

namespace llmpq {

/// A decode batch: at most one of its steps is under way.
struct Lane {
  std::vector<Sequence*> members;  ///< oldest first
  bool under_way = false;
  int64_t last_step = -1;
};

/// What is remembered of a step until it comes back.
struct StepUnderWay {
  int64_t id = 0;
  int32_t lane = -1;  ///< that waits for it
  bool has_chunk = false;
  size_t samples = 0;  ///< tokens that will come back
};

/// Rows of prompts that could go out now, decided but not yet taken.
struct Chunk {
  struct Part {
    Sequence* sequence;
    int64_t rows;
  };
  std::vector<Part> parts;
  int64_t rows = 0;
  bool full = false;       ///< no room for more rows or samples
  bool all_taken = false;  ///< nothing waits beyond it
};

struct Scheduler::State {
  State(const SchedulerConfig& c, StepContents step_contents)
      : config(c),
        contents(step_contents),
        kv(c.kv_blocks, c.kv_block_tokens),
        lanes(static_cast<size_t>(c.lanes)) {
    if (config.chunks_in_flight == 0) config.chunks_in_flight = config.lanes + config.stages;
  }

  int64_t capacity() const { return int64_t{config.lanes} * config.decode_batch; }
  int64_t decoding() const;
  int64_t max_running() const;

  // What could be sent.
  Chunk plan_chunk() const;
  bool worthwhile(const Chunk& chunk) const;
  /// Nothing else could go on: the batches in the lanes wait for blocks of older sequences.
  bool last_resort(const Chunk& chunk) const { return under_way.empty() && !chunk.parts.empty(); }
  const std::vector<Lane*>& idle_lanes();

  // What is sent.
  std::optional<Step> separated_step();
  std::optional<Step> interleaved_step();
  std::optional<Step> mixed_step();
  std::optional<Step> decode_step();
  std::optional<Step> chunk_step(const Chunk& chunk);
  void append_decode(Step& step, const Lane& lane);
  void append_chunk(Step& step, const Chunk& chunk);
  void append_rows(Step& step, Sequence& sequence, int64_t rows, int64_t blocks);
  Step send(Step step, Lane* lane, bool has_chunk);

  // What becomes of sequences.
  void fill_lanes();
  void join(Lane& lane, Sequence& sequence);
  bool make_room(Sequence& sequence);
  void preempt(Sequence& sequence);
  void take_token(Sequence& sequence, const ArrivedToken& token);

  SchedulerConfig config;
  StepContents contents;
  KvHoldings kv;
  std::unordered_map<int64_t, Sequence> sequences;  ///< by id; never walked through
  std::map<int64_t, Sequence*> waiting;             ///< by age
  std::map<int64_t, Sequence*> ready;               ///< by age
  Sequence* unfinished_prefill = nullptr;           ///< some rows sent, some not
  std::vector<Lane> lanes;
  std::vector<Lane*> idle;  ///< of idle_lanes()
  std::deque<StepUnderWay> under_way;
  /// By the steps under way and the one that is being built, in the order in which their tokens
  /// come back; they live until then.
  std::deque<Sequence*> sampled;
  std::vector<int64_t> ends;  ///< for the next step
  int64_t chunks_under_way = 0;
  int64_t preempted_under_way = 0;  ///< sequences in Phase::kPreempted
  int64_t preemptions = 0;
  int64_t next_age = 0, next_step_id = 0;
  bool last_was_chunk = false;
  bool wave_decodes = false;  ///< separated: the wave is prefilled, now it decodes to its end
};

}  // namespace llmpq
