// Who holds which KV blocks, and how many more the holders are expected to take: the ledger that
// admission and preemption decide by.
#pragma once

#include <cstdint>
#include <map>

#include "schedule/kv_blocks.hpp"
#include "schedule/sequence.hpp"

namespace llmpq {

class KvHoldings {
 public:
  KvHoldings(int32_t blocks, int32_t block_tokens);

  int64_t blocks_for(int64_t tokens) const { return (tokens + block_tokens_ - 1) / block_tokens_; }
  int64_t total() const { return blocks_.total(); }
  int64_t free() const { return blocks_.free(); }
  int64_t holders() const { return static_cast<int64_t>(by_age_.size()); }
  /// The youngest sequence that holds blocks. There must be one.
  Sequence& youngest() const { return *by_age_.rbegin()->second; }

  /// Takes blocks until they cover all tokens of the sequence, or none is free: false.
  bool grow(Sequence& sequence);
  /// Gives all blocks of the sequence back.
  void drop(Sequence& sequence);

  /// What is left when sequences are admitted one after the other, on paper.
  struct Offer {
    int64_t free = 0;      ///< blocks
    int64_t promised = 0;  ///< to those who hold some
    int64_t holders = 0;
  };
  Offer offer() const { return {blocks_.free(), promised_, holders()}; }
  /// Whether a waiting sequence may start: its tokens fit, and so do all promises, its own too. The
  /// first one always may (Scheduler::fits). If so it is booked in the offer.
  bool admit(const Sequence& sequence, Offer& offer) const;

 private:
  int64_t expected_blocks(const Sequence& sequence) const;
  int64_t settled_length(const Sequence& sequence) const;

  KvBlocks blocks_;
  int64_t block_tokens_;
  std::map<int64_t, Sequence*> by_age_;  ///< the holders
  int64_t promised_ = 0;                 ///< sum over the holders
};

}  // namespace llmpq
