#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {

int64_t attention_scratch_floats(const AttentionArgs& args) {
  const auto padded = [](int64_t count) { return (count + 15) / 16 * 16; };
  const KvCache& cache = *args.cache;
  const int64_t width = padded(cache.head_dim), tokens = padded(cache.block_tokens);
  const int64_t group = args.heads / cache.kv_heads;
  const int64_t states = padded(attention_rows(group) * group);
  return 2 * tokens * width + states * (4 + 2 * width + tokens + 16);
}

}  // namespace llmpq
