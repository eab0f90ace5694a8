#include "layer/sampler.hpp"

#include <algorithm>
#include <iterator>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

bool by_token(const TokenCount& a, const TokenCount& b) { return a.token < b.token; }

/// `counts` (ascending, each token once) with `added` (in any order) counted in.
std::vector<TokenCount> merged(const std::vector<TokenCount>& counts,
                               std::vector<TokenCount> added) {
  std::sort(added.begin(), added.end(), by_token);
  std::vector<TokenCount> all, result;
  all.reserve(counts.size() + added.size());
  std::merge(counts.begin(), counts.end(), added.begin(), added.end(), std::back_inserter(all),
             by_token);
  result.reserve(all.size());
  for (const TokenCount& next : all) {
    if (result.empty() || result.back().token != next.token)
      result.push_back(next);
    else
      result.back().count += next.count;
  }
  return result;
}

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

SequenceSampler::SequenceSampler(uint64_t row_seed, int32_t sample, int32_t prompt_tokens,
                                 const Sampling& sampling, std::span<const int32_t> eos_token_ids,
                                 int64_t vocab)
    : row_seed_(row_seed),
      sample_(sample),
      prompt_tokens_(prompt_tokens),
      vocab_(vocab),
      sampling_(sampling),
      endings_(sampling.stop_token_ids),
      counts_needed_(sampling.repetition_penalty != 1 || sampling.presence_penalty != 0 ||
                     sampling.frequency_penalty != 0) {
  sampling_.stop.clear();
  if (!sampling.ignore_eos)
    endings_.insert(endings_.end(), eos_token_ids.begin(), eos_token_ids.end());
  std::erase_if(endings_, [&](int32_t id) { return id < 0 || id >= vocab; });
  std::sort(endings_.begin(), endings_.end());
  endings_.erase(std::unique(endings_.begin(), endings_.end()), endings_.end());
}

void SequenceSampler::feed(std::span<const int32_t> tokens, int64_t position) {
  CHECK(position == next_position_, Exit::kInternal,
        "sampler: tokens of position {} came where {} was due", position, next_position_);
  next_position_ += static_cast<int64_t>(tokens.size());
  if (!counts_needed_) return;
  std::vector<TokenCount> added;
  added.reserve(tokens.size());
  for (int32_t token : tokens) {
    CHECK(token >= 0 && token < vocab_, Exit::kInternal, "sampler: token {} of a vocabulary of {}",
          token, vocab_);
    added.push_back({token, position >= prompt_tokens_ ? 1 : 0});
    ++position;
  }
  counts_ = merged(counts_, std::move(added));
}

void SequenceSampler::add_request(SampleRequests& requests) const {
  const auto counted = static_cast<int32_t>(requests.counted.size());
  const auto masked = static_cast<int32_t>(requests.masked.size());
  append(requests.counted, counts_);
  if (next_position_ - prompt_tokens_ < sampling_.min_tokens) append(requests.masked, endings_);
  requests.rows.push_back({.temperature = sampling_.temperature,
                           .top_p = sampling_.top_p,
                           .min_p = sampling_.min_p,
                           .top_k = sampling_.top_k,
                           .repetition = sampling_.repetition_penalty,
                           .frequency = sampling_.frequency_penalty,
                           .presence = sampling_.presence_penalty,
                           .logprobs = sampling_.logprobs,
                           .bits = draw_bits(row_seed_, sample_, next_position_),
                           .counted_begin = counted,
                           .counted_end = static_cast<int32_t>(requests.counted.size()),
                           .masked_begin = masked,
                           .masked_end = static_cast<int32_t>(requests.masked.size())});
}

}  // namespace llmpq
