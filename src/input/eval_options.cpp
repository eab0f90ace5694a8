// What is scored, and how: the options that eval has, some of them with sensitivity. Part of the
// list.
#include "input/job_binding.hpp"

namespace llmpq {

std::vector<Option> eval_options() {
  using namespace binding;
  constexpr double kMaxInt32 = std::numeric_limits<int32_t>::max();
  constexpr unsigned kEval = bit(Command::kEval);
  constexpr unsigned kScores = kEval | bit(Command::kSensitivity);
  const std::string group = "Eval: what is scored";
  return {
      {"text", group, kScores, "FILE", "UTF-8 text whose tokens are scored, as its bytes are.",
       single(ValueType::kPath, &Job::text)},
      {"window", group, kScores, "tokens",
       "Tokens that are computed together, the later ones with the earlier ones as context; auto: "
       "the model's context.",
       integer(&Job::window, {2, kMaxInt32})},
      {"stride", group, kEval, "tokens",
       "Tokens from one window to the next; each token is scored once. auto: half a window.",
       integer(&Job::stride, {1, kMaxInt32})},
      {"divergence", group, kEval, "",
       "Also compare with the unquantized model: mean Kullback-Leibler divergence of the next "
       "token's distribution, share of tokens of which both find the same one the likeliest, "
       "increase of the perplexity. That model (16-bit weights, head and KV cache; f32 where the "
       "job asks for it) runs first, on the same ranks; its logits wait in a file in $TMPDIR on "
       "the host of the last stage, 4 bytes for each scored token and entry of the vocabulary.",
       flag(&Job::divergence)},
      {"tasks", group, kEval, "FILE",
       "JSONL of tasks: prompt (or messages, with --chat), answer (or answers), kind. Greedy "
       "generation ends at a line break (or --stop, --max-tokens); the share of outputs equal to "
       "the answer is told, white space around it left out.",
       single(ValueType::kPath, &Job::tasks)},
  };
}

}  // namespace llmpq
