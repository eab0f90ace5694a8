// A small model and ranks to plan for, without GoogleTest: the fuzz target plans for them too.
// Bytes are what layer/memory.hpp says for CPU ranks.
#pragma once

#include <vector>

#include "kernels/check.hpp"
#include "plan/solve.hpp"

namespace llmpq {

/// 8 layers of about 1.5 MB in bf16, a vocabulary of 512.
inline ModelConfig small_model() {
  ModelConfig config;
  config.family = "llama";
  config.layers = 8;
  config.hidden = 256;
  config.ffn = 768;
  config.heads = 8;
  config.kv_heads = 2;
  config.head_dim = 32;
  config.rotary_dim = 32;
  config.vocab = 512;
  config.max_positions = 1024;
  config.window.assign(8, 0);
  return config;
}

/// A request for `small_model` on ranks with that many KiB each.
struct PlanCase {
  ModelConfig config = small_model();

  PlanRequest request(const std::vector<int64_t>& kib) const {
    PlanRequest request{.model = "small",
                        .config = config,
                        .ranks = {},
                        .device_links = false,
                        .max_model_len = 512,
                        .kv_type = DType::kBf16,
                        .kv_block_tokens = 16,
                        .workload = {1000, 300},
                        .wishes = {}};
    for (int64_t k : kib) request.ranks.push_back({k << 10, "cpu on a"});
    return request;
  }
};

}  // namespace llmpq
