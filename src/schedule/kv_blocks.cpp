#include "schedule/kv_blocks.hpp"

#include "kernels/check.hpp"

namespace llmpq {

KvBlocks::KvBlocks(int32_t blocks) {
  CHECK(blocks > 0, Exit::kInternal, "{} KV blocks, want at least one", blocks);
  users_.assign(static_cast<size_t>(blocks), 0);
  for (int32_t block = blocks; block-- > 0;) free_.push_back(block);
}

int32_t KvBlocks::take() {
  CHECK(!free_.empty(), Exit::kInternal, "no free KV block of {}", users_.size());
  const int32_t block = free_.back();
  free_.pop_back();
  users_[static_cast<size_t>(block)] = 1;
  return block;
}

void KvBlocks::share(int32_t block) {
  int32_t& users = users_.at(static_cast<size_t>(block));
  CHECK(users > 0, Exit::kInternal, "KV block {} is free, it cannot be shared", block);
  ++users;
}

void KvBlocks::release(int32_t block) {
  int32_t& users = users_.at(static_cast<size_t>(block));
  CHECK(users > 0, Exit::kInternal, "KV block {} is free already", block);
  if (--users == 0) free_.push_back(block);
}

}  // namespace llmpq
