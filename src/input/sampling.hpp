// How the tokens of one prompt are chosen and when its text ends: the job's values, over which the
// columns of the prompts file win row by row.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace llmpq {

struct Sampling {
  int32_t max_tokens = 256;
  int32_t min_tokens = 0;  ///< ending tokens are masked and stop strings not looked for before
  float temperature = 1;   ///< 0 = greedy
  float top_p = 1;
  int32_t top_k = 0;  ///< 0 = off
  float min_p = 0;
  float repetition_penalty = 1;  ///< counts prompt and output
  float presence_penalty = 0;    ///< counts the output only, as does frequency_penalty
  float frequency_penalty = 0;
  std::optional<uint64_t> seed;  ///< the row's own; else made from the job's seed and the row index
  bool ignore_eos = false;
  std::vector<std::string> stop;
  std::vector<int32_t> stop_token_ids;
  int32_t logprobs = 0;  ///< 0 none, 1 the chosen token's, K > 1 also the K likeliest
};

}  // namespace llmpq
