// What generate and plan do alike before anything runs: read what we were given, see what the
// machines are. Every step is agreed on by all ranks. What follows is decide.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/mpi.hpp"
#include "commands/machines.hpp"
#include "input/chat_template.hpp"
#include "input/checkpoint.hpp"
#include "input/job.hpp"
#include "input/prompts.hpp"
#include "input/tokenizer.hpp"
#include "pipeline/feed.hpp"
#include "plan/solve.hpp"

namespace llmpq {

/// What we were given. Every rank has the model; rank 0 alone the prompts and the tokenizer.
struct Input {
  std::unique_ptr<Checkpoint> checkpoint;
  std::optional<Tokenizer> tokenizer;  ///< none if the model has no tokenizer.json
  std::optional<ChatTemplate> chat;    ///< with --chat
  std::optional<PromptsFile> prompts;  ///< none if the job names none (plan)
  FeedSetup feed;
  WorkloadLengths lengths;
  /// Rank 0's with --quantizer gptq: the token ids of the texts that it is calibrated on.
  std::vector<std::vector<int32_t>> calibration;
  int64_t max_model_len = 0;
  DType kv_type = DType::kBf16;
  const Tokenizer* tokenizer_or_null() const { return tokenizer ? &*tokenizer : nullptr; }
};

/// The weights of --model, or what --load-format says stands for them. Error(kModel).
std::unique_ptr<Checkpoint> open_model(const Job& job);
/// --kv-cache-dtype, or the checkpoint's 16-bit type.
DType kv_cache_type(const Job& job, const ModelConfig& config);
/// Collective. Error(kModel), (kPrompts) or (kUsage).
Input load_input(const Mpi& mpi, const Job& job);

/// A text file, and the words for it in a sentence about it.
struct TextFile {
  const std::filesystem::path& path;
  std::string_view what, use;
};
/// Rank 0: its tokens, at least two. Error(kPrompts), or (kModel) without a tokenizer.
std::vector<int32_t> file_tokens(const Job& job, const Input& input, const TextFile& file);

/// What the job fixes of the plan by hand.
PlanWishes plan_wishes(const Job& job);
/// What the planner is told. The references in it are to `input` and `machines`.
PlanRequest plan_request(const Job& job, const Input& input, const Machines& machines);

}  // namespace llmpq
