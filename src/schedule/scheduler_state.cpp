#include "schedule/scheduler_state.hpp"

#include <algorithm>
#include <utility>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

bool older(const Sequence* a, const Sequence* b) { return a->age < b->age; }

}  // namespace

void Scheduler::State::append_rows(Step& step, Sequence& sequence, int64_t rows, int64_t blocks) {
  const bool sample = sequence.sent + rows == sequence.length;
  step.ranges.push_back({sequence.start.sequence, static_cast<int32_t>(rows),
                         static_cast<int32_t>(sequence.sent), static_cast<int32_t>(blocks),
                         sample});
  if (sample) {
    sampled.push_back(&sequence);
    sequence.token_under_way = true;
  }
  if (contents == StepContents::kAll) {
    const auto begin = sequence.tokens.begin() + sequence.sent;
    step.tokens.insert(step.tokens.end(), begin, begin + rows);
    step.block_table.insert(step.block_table.end(), sequence.blocks.begin(),
                            sequence.blocks.begin() + blocks);
  }
  sequence.sent += rows;
}

int64_t Scheduler::State::decoding() const {
  auto count = static_cast<int64_t>(ready.size());
  for (const Lane& lane : lanes) count += static_cast<int64_t>(lane.members.size());
  return count;
}

/// Sequences that may hold blocks. Beyond a place in a lane for each, one batch is prefilled ahead,
/// so that a place that becomes free is taken at once. A wave takes only whom it can decode.
int64_t Scheduler::State::max_running() const {
  return config.mix == Mix::kSeparated ? capacity() : capacity() + config.decode_batch;
}

/// The next rows to prefill: the rest of the prompt that was cut, then waiting sequences by age, as
/// long as rows, samples, places and blocks last. Empty while enough chunks are under way.
Chunk Scheduler::State::plan_chunk() const {
  Chunk chunk;
  if (chunks_under_way >= config.chunks_in_flight) return chunk;
  int64_t samples = 0;
  KvHoldings::Offer offer = kv.offer();
  const auto append = [&](Sequence& s) {
    const int64_t rows = std::min(config.prefill_tokens - chunk.rows, s.length - s.sent);
    samples += s.sent + rows == s.length;
    chunk.rows += rows;
    chunk.parts.push_back({&s, rows});
    chunk.full = chunk.rows == config.prefill_tokens || samples == config.decode_batch;
  };
  if (unfinished_prefill) append(*unfinished_prefill);
  // One that was preempted and is still to come back goes before the younger ones that wait.
  if (preempted_under_way > 0) return chunk;
  auto next = waiting.begin();
  while (next != waiting.end() && !chunk.full && offer.holders < max_running() &&
         kv.admit(*next->second, offer)) {
    append(*next->second);
    ++next;
  }
  chunk.all_taken = next == waiting.end();
  return chunk;
}

/// Lanes without a step under way, the one whose last step is oldest first.
const std::vector<Lane*>& Scheduler::State::idle_lanes() {
  const auto rested_longer = [](const Lane* a, const Lane* b) {
    return std::pair(a->last_step, a) < std::pair(b->last_step, b);
  };
  idle.clear();
  for (Lane& lane : lanes)
    if (!lane.under_way) idle.push_back(&lane);
  std::sort(idle.begin(), idle.end(), rested_longer);
  return idle;
}

/// One row of each member, oldest first. A member whose block is missing stays out of this step
/// when only older sequences hold blocks: one of those gets on, so a block will come free. Making
/// room preempts only younger ones, so the list may lose members behind this one, none before it.
void Scheduler::State::append_decode(Step& step, const Lane& lane) {
  step.ranges.reserve(lane.members.size());
  for (size_t i = 0; i < lane.members.size(); ++i) {
    Sequence& s = *lane.members[i];
    if (make_room(s)) append_rows(step, s, 1, std::ssize(s.blocks));
  }
}

void Scheduler::State::append_chunk(Step& step, const Chunk& chunk) {
  for (const auto& [s, rows] : chunk.parts) {
    if (s->phase == Phase::kWaiting) {
      CHECK(kv.grow(*s), Exit::kInternal, "sequence {} was admitted without room",
            s->start.sequence);
      waiting.erase(s->age);
      s->phase = Phase::kPrefilling;
      if (contents == StepContents::kAll) step.starts.push_back(s->start);
    }
    append_rows(step, *s, rows, kv.blocks_for(s->sent + rows));
    unfinished_prefill = s->sent < s->length ? s : nullptr;
  }
}

Step Scheduler::State::send(Step step, Lane* lane, bool has_chunk) {
  step.id = next_step_id++;
  step.ends = std::exchange(ends, {});
  StepUnderWay& memory = under_way.emplace_back();
  memory.id = step.id;
  memory.has_chunk = has_chunk;
  for (const StepRange& range : step.ranges) memory.samples += range.sample;
  if (lane) {
    memory.lane = static_cast<int32_t>(lane - lanes.data());
    lane->under_way = true;
    lane->last_step = step.id;
  }
  chunks_under_way += has_chunk;
  last_was_chunk = has_chunk;
  return step;
}

/// Free places go to the oldest that are ready, in the lane with the most room. In lanes that are
/// not under way an older one also takes a younger one's place: so the oldest of all always gets
/// its steps, and with them blocks.
void Scheduler::State::fill_lanes() {
  const auto emptier = [](const Lane& a, const Lane& b) {
    return a.members.size() < b.members.size();
  };
  while (!ready.empty()) {
    Lane& lane = *std::min_element(lanes.begin(), lanes.end(), emptier);
    if (static_cast<int64_t>(lane.members.size()) >= config.decode_batch) break;
    Sequence& oldest = *ready.begin()->second;
    ready.erase(ready.begin());
    join(lane, oldest);
  }
  for (Lane& lane : lanes) {
    while (!lane.under_way && !ready.empty() && !lane.members.empty() &&
           older(ready.begin()->second, lane.members.back())) {
      Sequence& in = *ready.begin()->second;
      Sequence& out = *lane.members.back();
      ready.erase(ready.begin());
      lane.members.pop_back();
      join(lane, in);
      out.lane = -1;
      out.phase = Phase::kReady;
      ready.emplace(out.age, &out);
    }
  }
}

void Scheduler::State::join(Lane& lane, Sequence& sequence) {
  sequence.phase = Phase::kDecoding;
  sequence.lane = static_cast<int32_t>(&lane - lanes.data());
  lane.members.insert(std::upper_bound(lane.members.begin(), lane.members.end(), &sequence, older),
                      &sequence);
}

/// Blocks for all tokens of the sequence, taken from younger ones if need be. False if all others
/// that hold blocks are older.
bool Scheduler::State::make_room(Sequence& sequence) {
  while (!kv.grow(sequence)) {
    Sequence& victim = kv.youngest();
    if (&victim == &sequence) return false;
    preempt(victim);
  }
  return true;
}

/// The sequence's blocks are free for the next step at once, also while steps that read them are
/// under way: every stage runs steps in the order of their ids, so whoever writes these blocks
/// comes after the last that reads them. The same order lets the last stage forget the sequence
/// with the next step: tokens under way are chosen before. If one is, the sequence waits for it.
void Scheduler::State::preempt(Sequence& sequence) {
  kv.drop(sequence);
  if (sequence.phase == Phase::kReady) ready.erase(sequence.age);
  if (sequence.phase == Phase::kDecoding)
    std::erase(lanes[static_cast<size_t>(sequence.lane)].members, &sequence);
  if (unfinished_prefill == &sequence) unfinished_prefill = nullptr;
  ends.push_back(sequence.start.sequence);
  sequence.lane = -1;
  sequence.sent = 0;
  sequence.phase = sequence.token_under_way ? Phase::kPreempted : Phase::kWaiting;
  if (sequence.token_under_way)
    ++preempted_under_way;
  else
    waiting.emplace(sequence.age, &sequence);
  ++preemptions;
}

void Scheduler::State::take_token(Sequence& sequence, const ArrivedToken& token) {
  CHECK(token.sequence == sequence.start.sequence, Exit::kInternal,
        "a token of sequence {} came back in place of {}", token.sequence, sequence.start.sequence);
  sequence.token_under_way = false;
  ++sequence.length;
  if (contents == StepContents::kAll) sequence.tokens.push_back(token.token);
  if (sequence.phase == Phase::kPreempted) --preempted_under_way;
  if (token.finished) {
    if (sequence.phase != Phase::kPreempted) {
      kv.drop(sequence);
      ends.push_back(token.sequence);
    }
    sequence.phase = Phase::kFinished;
    return;
  }
  CHECK(sequence.generated() < sequence.max_tokens, Exit::kInternal,
        "sequence {} goes on after its {} tokens", token.sequence, sequence.max_tokens);
  if (sequence.phase == Phase::kPreempted) {
    sequence.phase = Phase::kWaiting;
    waiting.emplace(sequence.age, &sequence);
  } else if (sequence.phase == Phase::kPrefilling) {
    sequence.phase = Phase::kReady;
    ready.emplace(sequence.age, &sequence);
  }
}

}  // namespace llmpq
