#include "schedule/kv_holdings.hpp"

#include <algorithm>

namespace llmpq {

KvHoldings::KvHoldings(int32_t blocks, int32_t block_tokens)
    : blocks_(blocks), block_tokens_(block_tokens) {}

/// Blocks at the sequence's expected end. One that outlives its expectation is expected to need a
/// block more, as long as max_tokens allows it. The last token is never written to the cache.
int64_t KvHoldings::expected_blocks(const Sequence& s) const {
  const int64_t output =
      std::min(s.max_tokens, std::max(s.expected_tokens, s.generated() + block_tokens_));
  return blocks_for(std::max(s.length, s.start.prompt_tokens + output - 1));
}

/// The promise stays as it is while nothing outlives its expectation.
int64_t KvHoldings::settled_length(const Sequence& s) const {
  const int64_t covered = static_cast<int64_t>(s.blocks.size()) * block_tokens_;
  if (s.expected_tokens >= s.max_tokens) return covered;
  return std::min(covered, s.start.prompt_tokens + s.expected_tokens - block_tokens_);
}

bool KvHoldings::grow(Sequence& sequence) {
  if (sequence.length <= sequence.settled) return true;
  const auto want = static_cast<size_t>(blocks_for(sequence.length));
  const bool held_none = sequence.blocks.empty();
  while (sequence.blocks.size() < want && blocks_.free() > 0)
    sequence.blocks.push_back(blocks_.take());
  const auto held = static_cast<int64_t>(sequence.blocks.size());
  if (held_none && held > 0) by_age_.emplace(sequence.age, &sequence);
  const int64_t promised = std::max<int64_t>(0, expected_blocks(sequence) - held);
  promised_ += promised - sequence.promised;
  sequence.promised = promised;
  sequence.settled = settled_length(sequence);
  return sequence.blocks.size() >= want;
}

void KvHoldings::drop(Sequence& sequence) {
  for (size_t i = sequence.blocks.size(); i-- > 0;) blocks_.release(sequence.blocks[i]);
  sequence.blocks.clear();
  promised_ -= sequence.promised;
  sequence.promised = 0;
  sequence.settled = 0;
  by_age_.erase(sequence.age);
}

bool KvHoldings::admit(const Sequence& sequence, Offer& offer) const {
  const int64_t now = blocks_for(sequence.length);
  const int64_t later = expected_blocks(sequence) - now;
  if (offer.holders > 0 && now + later + offer.promised > offer.free) return false;
  offer.free -= now;
  offer.promised += later;
  ++offer.holders;
  return true;
}

}  // namespace llmpq
