#include "plan/work.hpp"

#include <algorithm>

#include "kernels/check.hpp"
#include "layer/step_shape.hpp"

namespace llmpq {

Work work_of(std::span<const SequenceLength> lengths, int64_t kv_block_tokens) {
  Work work;
  for (const SequenceLength& length : lengths) {
    CHECK(length.prompt >= 1 && length.output >= 1 && length.count >= 1, Exit::kUsage,
          "a sequence has {} prompt tokens and {} output tokens: want at least one of each",
          length.prompt, length.output);
    const auto count = static_cast<double>(length.count);
    const int64_t tokens = length.prompt + length.output;
    const int64_t most = length.prompt + std::max(length.output, length.most_output);
    const auto blocks_of = [&](int64_t n) {
      return static_cast<double>((n + kv_block_tokens - 1) / kv_block_tokens);
    };
    work.sequences += count;
    work.prefill_rows += count * static_cast<double>(length.prompt);
    work.decode_rows += count * static_cast<double>(length.output - 1);
    work.blocks += count * blocks_of(tokens);
    work.most_blocks = std::max(work.most_blocks, blocks_of(most));
    work.longest_sequence = std::max(work.longest_sequence, most);
  }
  CHECK(work.sequences > 0, Exit::kUsage, "there is no sequence to plan for");
  return work;
}

WorkKeys keys_of(std::span<const SequenceLength> lengths, int64_t window) {
  WorkKeys keys;
  for (const SequenceLength& length : lengths) {
    const auto count = static_cast<double>(length.count);
    keys.prefill += count * static_cast<double>(keys_of(0, length.prompt, window));
    keys.decode += count * static_cast<double>(keys_of(length.prompt, length.output - 1, window));
  }
  return keys;
}

}  // namespace llmpq
