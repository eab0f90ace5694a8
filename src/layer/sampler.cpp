#include "layer/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/check.hpp"
#include "layer/select.hpp"
#include "layer/softmax.hpp"

namespace llmpq {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

/// The first index of the largest value; logits may hold kNever but no NaN.
int32_t argmax(std::span<const float> logits) {
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i)
    if (logits[i] > logits[best]) best = i;
  return static_cast<int32_t>(best);
}

/// The largest finite logit; what is not finite becomes kNever.
float drop_nonfinite(std::span<float> logits) {
  float max = kNever;
  for (float& logit : logits) {
    if (!std::isfinite(logit)) logit = kNever;
    max = std::max(max, logit);
  }
  return max;
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
}

void SequenceSampler::feed(std::span<const int32_t> tokens, int64_t position) {
  CHECK(position == next_position_, Exit::kInternal,
        "sampler: tokens of position {} came where {} was due", position, next_position_);
  next_position_ += static_cast<int64_t>(tokens.size());
  if (!counts_needed_) return;
  for (int32_t token : tokens) {
    CHECK(token >= 0 && token < vocab_, Exit::kInternal, "sampler: token {} of a vocabulary of {}",
          token, vocab_);
    output_counts_[token] += position >= prompt_tokens_ ? 1 : 0;
    ++position;
  }
}

SampledToken SequenceSampler::choose(std::span<float> logits) const {
  CHECK(static_cast<int64_t>(logits.size()) == vocab_, Exit::kInternal,
        "sampler: {} logits for a vocabulary of {}", logits.size(), vocab_);
  const float raw_max = drop_nonfinite(logits);
  CHECK(raw_max != kNever, Exit::kInternal,
        "no logit of the token at position {} is finite: the weights or the input overflow; "
        "try --activation-dtype f32 and check the checkpoint",
        next_position_);
  const bool wants_logprobs = sampling_.logprobs > 0;
  const std::vector<float> raw(logits.begin(), wants_logprobs ? logits.end() : logits.begin());

  SampledToken chosen;
  mask_endings(logits);
  penalize(logits);
  chosen.token = argmax(logits);
  if (sampling_.temperature > 0) {
    cut(logits, logits[static_cast<size_t>(chosen.token)]);
    chosen.token = draw(logits);
  }
  if (wants_logprobs) add_logprobs(raw, raw_max, chosen);
  return chosen;
}

/// Where every token that may come is an ending, the mask is left out: something has to be chosen.
void SequenceSampler::mask_endings(std::span<float> logits) const {
  if (next_position_ - prompt_tokens_ >= sampling_.min_tokens) return;
  std::vector<std::pair<size_t, float>> saved;
  for (int32_t id : endings_) {
    const auto i = static_cast<size_t>(id);
    saved.emplace_back(i, std::exchange(logits[i], kNever));
  }
  if (std::all_of(logits.begin(), logits.end(), [](float logit) { return logit == kNever; }))
    for (auto it = saved.rbegin(); it != saved.rend(); ++it) logits[it->first] = it->second;
}

void SequenceSampler::penalize(std::span<float> logits) const {
  constexpr float kLargest = std::numeric_limits<float>::max();
  const float repetition = sampling_.repetition_penalty;
  for (const auto& [token, count] : output_counts_) {
    float& logit = logits[static_cast<size_t>(token)];
    if (logit == kNever) continue;
    float penalized = logit > 0 ? logit / repetition : logit * repetition;
    penalized -= sampling_.frequency_penalty * static_cast<float>(count);
    if (count > 0) penalized -= sampling_.presence_penalty;
    if (!std::isnan(penalized)) logit = std::clamp(penalized, -kLargest, kLargest);
  }
}

/// Logits to weights, 0 for those that top-k, min-p and top-p leave out. `max`: the largest logit.
void SequenceSampler::cut(std::span<float> logits, float max) const {
  if (sampling_.top_k > 0) apply(cut_by_count(logits, sampling_.top_k), logits, kNever);
  to_weights(logits, max, sampling_.temperature);
  const float least = std::min(sampling_.min_p, 1.0f);  // the likeliest weight is 1
  if (least > 0)
    for (float& weight : logits) weight = weight < least ? 0.0f : weight;
  if (sampling_.top_p < 1) {
    const double wanted = std::ceil(double{sampling_.top_p} * double(total_mass(logits)));
    apply(cut_by_mass(logits, static_cast<uint64_t>(std::max(1.0, wanted))), logits, 0.0f);
  }
}

/// Inverse of the cumulative distribution over ascending token ids.
int32_t SequenceSampler::draw(std::span<const float> weights) const {
  const uint64_t bits = draw_bits(row_seed_, sample_, next_position_);
  const unsigned __int128 product = static_cast<unsigned __int128>(bits) * total_mass(weights);
  auto left = static_cast<uint64_t>(product >> 64);  // in [0, total)
  size_t i = 0;
  for (uint64_t m = mass(weights[0]); left >= m; m = mass(weights[++i])) left -= m;
  return static_cast<int32_t>(i);
}

void SequenceSampler::add_logprobs(std::span<const float> raw, float max,
                                   SampledToken& chosen) const {
  const double log_sum = log_sum_exp(raw, max);
  const auto logprob = [&](int32_t id) {
    return static_cast<float>(raw[static_cast<size_t>(id)] - log_sum);
  };
  chosen.logprob = logprob(chosen.token);
  if (sampling_.logprobs == 1) return;
  chosen.top_ids = largest(raw, sampling_.logprobs);
  for (int32_t id : chosen.top_ids) chosen.top_logprobs.push_back(logprob(id));
}

}  // namespace llmpq
