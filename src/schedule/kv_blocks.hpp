// The KV blocks of one pipeline: which are free, and how many sequences use each of the others. A
// block id means the same tokens on every stage. One allocator per pipeline, on rank 0.
#pragma once

#include <cstdint>
#include <vector>

namespace llmpq {

class KvBlocks {
 public:
  explicit KvBlocks(int32_t blocks);

  /// A free block, now used once. Always the same one for the same history: the block freed last,
  /// else the lowest never used. There must be a free one.
  int32_t take();
  /// One more user of a block in use (a common beginning of two sequences).
  void share(int32_t block);
  /// One user less; without users the block is free.
  void release(int32_t block);

  int64_t free() const { return static_cast<int64_t>(free_.size()); }
  int64_t total() const { return static_cast<int64_t>(users_.size()); }

 private:
  std::vector<int32_t> users_;  ///< [blocks]
  std::vector<int32_t> free_;   ///< a stack
};

}  // namespace llmpq
