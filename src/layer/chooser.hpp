// The end of a step on the last stage: from logits on the device to tokens in host memory. What
// each sequence asks for goes up, what was chosen comes back; the logits stay where they are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/backend.hpp"
#include "layer/memory.hpp"
#include "layer/sampler.hpp"

namespace llmpq {

class Chooser {
 public:
  /// Device and staging memory for the largest step: chooser_bytes() on the device.
  Chooser(const ModelConfig& config, const Sizes& sizes, Backend& backend);

  /// One token for each of the samplers from its row of `logits` [samplers, vocab], which are
  /// overwritten. Token -1 where no logit is finite. Waits for the device.
  std::vector<SampledToken> choose(std::span<const SequenceSampler* const> samplers, float* logits,
                                   Context& context);

  /// ln softmax(logits[r])[targets[r]] of each row. Waits for the device.
  std::vector<float> score(std::span<const int32_t> targets, const float* logits, Context& context);

  int64_t bytes() const { return device_.bytes(); }

 private:
  void choose_piece(const SampleRequests& requests, float* logits, Context& context,
                    std::vector<SampledToken>& chosen);
  void upload(std::span<const std::byte> list, int64_t begin, int64_t end, Context& context);

  int64_t vocab_;
  int64_t max_rows_;
  int64_t max_model_len_;
  Backend& backend_;
  Buffer device_, staging_;
};

}  // namespace llmpq
