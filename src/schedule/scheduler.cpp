#include "schedule/scheduler.hpp"

#include <algorithm>
#include <utility>

#include "kernels/check.hpp"
#include "schedule/scheduler_state.hpp"

namespace llmpq {

int32_t max_step_rows(const SchedulerConfig& config) {
  return config.mix == Mix::kMixed ? config.prefill_tokens + config.decode_batch
                                   : std::max(config.prefill_tokens, config.decode_batch);
}

int32_t max_step_samples(const SchedulerConfig& config) {
  const int32_t chunk = std::min(config.prefill_tokens, config.decode_batch);
  return config.mix == Mix::kMixed ? config.decode_batch + chunk : config.decode_batch;
}

/// While all places are taken there is time to wait for a chunk that is full. Where places are
/// free, or nothing more would come, whatever there is goes out.
bool Scheduler::State::worthwhile(const Chunk& chunk) const {
  if (chunk.parts.empty()) return false;
  const int64_t prefilled = kv.holders() - (unfinished_prefill ? 1 : 0);
  return chunk.full || chunk.all_taken || prefilled < capacity();
}

/// Fills the cache with as many sequences as it takes, then decodes until all have left.
std::optional<Step> Scheduler::State::separated_step() {
  if (wave_decodes && kv.holders() == 0 && under_way.empty()) wave_decodes = false;
  if (!wave_decodes) {
    const Chunk chunk = plan_chunk();
    if (!chunk.parts.empty()) return chunk_step(chunk);
    if (!under_way.empty() || decoding() == 0) return std::nullopt;
    wave_decodes = true;
  }
  return decode_step();
}

/// Decode steps go first, but where both could go they take turns: neither kind starves. A batch
/// that waits for its step to come back leaves the way to chunks, chunks_in_flight at most.
std::optional<Step> Scheduler::State::interleaved_step() {
  const bool chunk_first = !last_was_chunk && worthwhile(plan_chunk());
  if (!chunk_first)
    if (auto step = decode_step()) return step;
  const Chunk chunk = plan_chunk();  // once more: decoding may have preempted
  if (worthwhile(chunk) || last_resort(chunk)) return chunk_step(chunk);
  return std::nullopt;
}

/// Each step belongs to a lane, carries its decode rows if it has members, and a chunk if there is
/// one: steps of even size, one per lane at most.
std::optional<Step> Scheduler::State::mixed_step() {
  for (Lane* lane : idle_lanes()) {
    Step step;
    append_decode(step, *lane);
    const bool has_decode = !step.ranges.empty();
    const Chunk chunk = plan_chunk();
    const bool has_chunk = worthwhile(chunk) || (!has_decode && last_resort(chunk));
    if (has_chunk) append_chunk(step, chunk);
    if (!has_chunk && !has_decode) continue;
    step.kind = !has_decode ? StepKind::kPrefill : has_chunk ? StepKind::kMixed : StepKind::kDecode;
    if (has_decode) step.lane = static_cast<int32_t>(lane - lanes.data());
    return send(std::move(step), lane, has_chunk);
  }
  return std::nullopt;
}

std::optional<Step> Scheduler::State::decode_step() {
  for (Lane* lane : idle_lanes()) {
    Step step;
    append_decode(step, *lane);
    if (step.ranges.empty()) continue;
    step.kind = StepKind::kDecode;
    step.lane = static_cast<int32_t>(lane - lanes.data());
    return send(std::move(step), lane, false);
  }
  return std::nullopt;
}

std::optional<Step> Scheduler::State::chunk_step(const Chunk& chunk) {
  Step step;
  append_chunk(step, chunk);
  return send(std::move(step), nullptr, true);
}

Scheduler::Scheduler(const SchedulerConfig& config, StepContents contents) {
  CHECK(config.stages > 0 && config.prefill_tokens > 0 && config.decode_batch > 0 &&
            config.lanes > 0 && config.kv_blocks > 0 && config.kv_block_tokens > 0 &&
            config.chunks_in_flight >= 0,
        Exit::kInternal,
        "a scheduler wants positive sizes: {} stages, chunks of {} tokens, decode batch {}, {} "
        "lanes, {} KV blocks of {} tokens",
        config.stages, config.prefill_tokens, config.decode_batch, config.lanes, config.kv_blocks,
        config.kv_block_tokens);
  state_ = std::make_unique<State>(config, contents);
}
Scheduler::~Scheduler() = default;
Scheduler::Scheduler(Scheduler&&) noexcept = default;

void Scheduler::add(SequenceRequest request) {
  const int64_t prompt = state_->contents == StepContents::kRanges
                             ? request.start.prompt_tokens
                             : static_cast<int64_t>(request.tokens.size());
  const int64_t id = request.start.sequence;
  CHECK(prompt > 0 && request.max_tokens > 0, Exit::kInternal,
        "sequence {} has {} prompt tokens and max_tokens {}, want at least one each", id, prompt,
        request.max_tokens);
  CHECK(fits(prompt, request.max_tokens), Exit::kInternal,
        "sequence {} of {} + {} tokens never fits into {} KV blocks", id, prompt,
        request.max_tokens, state_->kv.total());
  const auto [at, is_new] = state_->sequences.try_emplace(id);
  CHECK(is_new, Exit::kInternal, "sequence {} was added twice", id);
  Sequence& sequence = at->second;
  sequence.age = state_->next_age++;
  sequence.start = std::move(request.start);
  sequence.start.prompt_tokens = static_cast<int32_t>(prompt);
  sequence.length = prompt;
  sequence.tokens = std::move(request.tokens);
  sequence.max_tokens = request.max_tokens;
  sequence.expected_tokens = request.expected_tokens;
  state_->waiting.emplace(sequence.age, &sequence);
}

bool Scheduler::fits(int64_t prompt_tokens, int64_t max_tokens) const {
  const int64_t written = prompt_tokens + std::max<int64_t>(max_tokens, 1) - 1;
  return state_->kv.blocks_for(written) <= state_->kv.total();
}

std::optional<Step> Scheduler::next_step() {
  state_->fill_lanes();
  switch (state_->config.mix) {
    case Mix::kSeparated:
      return state_->separated_step();
    case Mix::kInterleaved:
      return state_->interleaved_step();
    case Mix::kMixed:
      return state_->mixed_step();
  }
  return std::nullopt;
}

void Scheduler::arrived(int64_t step_id, std::span<const ArrivedToken> tokens) {
  State& state = *state_;
  CHECK(!state.under_way.empty() && state.under_way.front().id == step_id, Exit::kInternal,
        "step {} came back out of order", step_id);
  const StepUnderWay step = state.under_way.front();
  state.under_way.pop_front();
  CHECK(tokens.size() == step.samples, Exit::kInternal, "step {} came back with {} tokens, want {}",
        step_id, tokens.size(), step.samples);
  state.chunks_under_way -= step.has_chunk;
  bool any_finished = false;
  for (const ArrivedToken& token : tokens) {
    state.take_token(*state.sampled.front(), token);
    state.sampled.pop_front();
    any_finished |= token.finished;
  }
  if (step.lane >= 0) state.lanes[static_cast<size_t>(step.lane)].under_way = false;
  if (!any_finished) return;
  if (step.lane >= 0)
    std::erase_if(state.lanes[static_cast<size_t>(step.lane)].members,
                  [](const Sequence* s) { return s->phase == Phase::kFinished; });
  for (const ArrivedToken& token : tokens)
    if (token.finished) state.sequences.erase(token.sequence);
}

std::vector<int64_t> Scheduler::drop_waiting() {
  std::vector<int64_t> dropped;
  for (auto at = state_->waiting.begin(); at != state_->waiting.end();) {
    const Sequence& sequence = *at->second;
    const bool begun = sequence.generated() > 0;
    if (!begun) dropped.push_back(sequence.start.sequence);
    at = begun ? std::next(at) : state_->waiting.erase(at);
  }
  for (const int64_t id : dropped) state_->sequences.erase(id);
  return dropped;
}

SchedulerCounts Scheduler::counts() const {
  const State& state = *state_;
  SchedulerCounts counts;
  counts.waiting = static_cast<int64_t>(state.waiting.size()) + state.preempted_under_way;
  counts.decoding = state.decoding();
  counts.prefilling = state.kv.holders() - counts.decoding;
  counts.steps_under_way = static_cast<int64_t>(state.under_way.size());
  counts.free_blocks = state.kv.free();
  counts.preemptions = state.preemptions;
  return counts;
}

bool Scheduler::idle() const { return state_->sequences.empty() && state_->under_way.empty(); }

}  // namespace llmpq
