#include "pipeline/feed.hpp"

#include <algorithm>
#include <utility>

#include "kernels/check.hpp"
#include "layer/sampler.hpp"

namespace llmpq {
namespace {

/// The prompt's token ids. Error(kPrompts) is the row's error, not the job's.
std::vector<int32_t> tokens_of(Prompt& prompt, const Tokenizer* tokenizer, const FeedSetup& setup) {
  CHECK(prompt.error.empty(), Exit::kPrompts, "{}", prompt.error);
  if (prompt.has_tokens) {
    CHECK(!prompt.tokens.empty(), Exit::kPrompts, "the prompt has no tokens");
    return std::move(prompt.tokens);
  }
  CHECK(!prompt.text.empty(), Exit::kPrompts, "the prompt is empty");
  CHECK(tokenizer, Exit::kPrompts, "the prompt is text and the model has no tokenizer.json");
  // A chat template writes the special tokens itself.
  std::vector<int32_t> tokens = setup.chat ? tokenizer->encode(setup.chat(prompt.text), false)
                                           : tokenizer->encode(prompt.text);
  CHECK(!tokens.empty(), Exit::kPrompts, "the tokenizer makes no token of the prompt");
  return tokens;
}

void check_ids(const std::vector<int32_t>& tokens, int64_t vocab) {
  for (int32_t id : tokens)
    CHECK(id >= 0 && id < vocab, Exit::kPrompts,
          "token id {} is outside of the model's vocabulary of {}", id, vocab);
}

void truncate(std::vector<int32_t>& tokens, int64_t keep, TruncateSide side) {
  const auto excess = static_cast<int64_t>(tokens.size()) - keep;
  if (side == TruncateSide::kLeft)
    tokens.erase(tokens.begin(), tokens.begin() + excess);
  else
    tokens.resize(static_cast<size_t>(keep));
}

/// Leaves room for at least one output token; a prompt that must be cut leaves room for max_tokens.
void fit_context(std::vector<int32_t>& tokens, Sampling& sampling, const FeedSetup& setup) {
  const int64_t context = setup.max_model_len;
  if (static_cast<int64_t>(tokens.size()) >= context) {
    CHECK(setup.truncate != TruncateSide::kNone, Exit::kPrompts,
          "the prompt has {} tokens and the context {}, one of which is for the output; "
          "--truncate-prompt left or right cuts it",
          tokens.size(), context);
    truncate(tokens, std::max<int64_t>(1, context - sampling.max_tokens), setup.truncate);
  }
  const int64_t room = context - static_cast<int64_t>(tokens.size());
  sampling.max_tokens = static_cast<int32_t>(std::min<int64_t>(sampling.max_tokens, room));
}

}  // namespace

Feed::Feed(const PromptsFile& prompts, const Tokenizer* tokenizer, const FeedSetup& setup)
    : prompts_(prompts), tokenizer_(tokenizer), setup_(setup), next_row_(setup.rows.begin) {}

/// The samples of a row that are still to be done.
std::vector<int32_t> Feed::samples_left(int64_t row) const {
  std::vector<int32_t> samples;
  for (int32_t sample = 0; sample < setup_.num_samples; ++sample)
    if (!setup_.is_done || !setup_.is_done(row, sample)) samples.push_back(sample);
  return samples;
}

FeedBatch Feed::read(int64_t max_rows) {
  FeedBatch batch;
  // What an earlier run has done is not even read: it may be most of a large file.
  while (!at_end() && samples_left(next_row_).empty()) ++next_row_;
  if (at_end()) return batch;
  const int64_t count =
      std::min(std::max<int64_t>(1, max_rows / setup_.num_samples), setup_.rows.end - next_row_);
  for (Prompt& prompt : prompts_.read(next_row_, count, setup_.defaults))
    add_requests(prompt, samples_left(prompt.row), tokenizer_, setup_, batch);
  next_row_ += count;
  return batch;
}

void add_requests(Prompt& prompt, const std::vector<int32_t>& samples, const Tokenizer* tokenizer,
                  const FeedSetup& setup, FeedBatch& batch) {
  if (samples.empty()) return;
  try {
    std::vector<int32_t> tokens = tokens_of(prompt, tokenizer, setup);
    check_ids(tokens, setup.vocab);
    fit_context(tokens, prompt.sampling, setup);
    const uint64_t seed = prompt.sampling.seed.value_or(row_seed(setup.job_seed, prompt.row));
    for (int32_t sample : samples)
      batch.requests.push_back({prompt.row, sample, tokens, prompt.sampling, seed});
  } catch (const Error& error) {
    for (int32_t sample : samples)
      batch.failed.push_back(failed_row(prompt.row, sample, error.what()));
  }
}

WorkloadLengths measure_lengths(const PromptsFile& prompts, const Tokenizer* tokenizer,
                                const FeedSetup& setup, int64_t sample) {
  constexpr int64_t kWindow = 256;  // neighbouring rows are read at once: HDF5 calls are dear
  WorkloadLengths lengths;
  lengths.rows = setup.rows.end - setup.rows.begin;
  const int64_t windows = std::max<int64_t>(1, std::min(sample, lengths.rows) / kWindow);
  const bool all = lengths.rows <= sample;
  FeedSetup one_sample = setup;
  one_sample.num_samples = 1;
  double sum = 0;
  for (int64_t i = 0; all ? i * kWindow < lengths.rows : i < windows; ++i) {
    const int64_t offset = all ? i * kWindow : i * lengths.rows / windows;
    one_sample.rows.begin = setup.rows.begin + offset;
    for (const Request& request : Feed(prompts, tokenizer, one_sample).read(kWindow).requests) {
      const auto tokens = static_cast<int64_t>(request.prompt.size());
      lengths.longest_prompt = std::max(lengths.longest_prompt, tokens);
      lengths.longest_sequence =
          std::max(lengths.longest_sequence, tokens + request.sampling.max_tokens);
      sum += static_cast<double>(tokens);
      lengths.seen.push_back(
          {tokens, request.sampling.max_tokens, request.sampling.ignore_eos, request.row});
    }
  }
  if (!all) lengths.longest_sequence = setup.max_model_len;
  if (!lengths.seen.empty()) lengths.mean_prompt = sum / static_cast<double>(lengths.seen.size());
  return lengths;
}

}  // namespace llmpq
