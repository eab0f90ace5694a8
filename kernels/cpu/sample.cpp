#include "kernels/cpu/sample.hpp"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "kernels/cpu/context.hpp"
#include "kernels/cpu/select.hpp"
#include "kernels/cpu/softmax.hpp"

namespace llmpq {
namespace {

/// A row's logits, and the kernels for passes over all of them.
struct Row {
  const KernelTable& kernels;
  std::span<float> logits;

  int64_t size() const { return std::ssize(logits); }
  float largest() const { return kernels.largest(logits.data(), size()); }
  void drop_nonfinite() const { kernels.drop_nonfinite(logits.data(), size()); }

  /// The first index of the largest value; logits may hold kNever but no NaN.
  int32_t argmax() const {
    return static_cast<int32_t>(std::find(logits.begin(), logits.end(), largest()) -
                                logits.begin());
  }
};

/// Where every token that may come is masked, the mask is left out: something has to be chosen.
void mask(std::span<const int32_t> tokens, std::span<float> logits) {
  if (tokens.empty()) return;
  std::vector<std::pair<size_t, float>> saved;
  for (int32_t token : tokens) {
    const auto i = static_cast<size_t>(token);
    saved.emplace_back(i, std::exchange(logits[i], kNever));
  }
  if (std::all_of(logits.begin(), logits.end(), [](float logit) { return logit == kNever; }))
    for (auto it = saved.rbegin(); it != saved.rend(); ++it) logits[it->first] = it->second;
}

void penalize(std::span<const TokenCount> counted, const SampleRow& row, std::span<float> logits) {
  for (const auto& [token, count] : counted) {
    float& logit = logits[static_cast<size_t>(token)];
    logit = penalized(logit, row, count);
  }
}

/// Logits to weights, 0 for those that top-k, min-p and top-p leave out. `max`: the largest logit.
void cut(const SampleRow& row, float max, std::span<float> logits) {
  if (row.top_k > 0) apply(cut_by_count(logits, row.top_k), logits, kNever);
  to_weights(logits, max, row.temperature);
  const float least = least_weight(row.min_p);
  if (least > 0)
    for (float& weight : logits) weight = weight < least ? 0.0f : weight;
  if (row.top_p < 1)
    apply(cut_by_mass(logits, nucleus_mass(row.top_p, total_mass(logits))), logits, 0.0f);
}

/// Inverse of the cumulative distribution over ascending token ids.
int32_t draw(uint64_t bits, std::span<const float> weights) {
  uint64_t left = drawn_mass(bits, total_mass(weights));
  size_t i = 0;
  for (uint64_t m = mass(weights[0]); left >= m; m = mass(weights[++i])) left -= m;
  return static_cast<int32_t>(i);
}

/// The token for row r; its logits may hold kNever, but not only.
int32_t choose(const SampleArgs& args, int64_t r, const Row& of) {
  const SampleRow& row = args.sample[r];
  const std::span<float> logits = of.logits;
  mask({args.masked + row.masked_begin, args.masked + row.masked_end}, logits);
  penalize({args.counted + row.counted_begin, args.counted + row.counted_end}, row, logits);
  const int32_t likeliest = of.argmax();
  if (!(row.temperature > 0)) return likeliest;
  cut(row, logits[static_cast<size_t>(likeliest)], logits);
  return draw(row.bits, logits);
}

/// The K likeliest of row r with their logprobs; what is left of its `top` places gets -1 and 0.
void put_top(const SampleArgs& args, int64_t r, std::span<const float> raw, double log_sum) {
  int32_t* ids = args.top_ids + r * args.top;
  float* logprobs = args.top_logprobs + r * args.top;
  std::fill_n(ids, args.top, -1);
  std::fill_n(logprobs, args.top, 0.0f);
  const int64_t wanted = args.sample[r].logprobs;
  if (wanted <= 1 || raw.empty()) return;
  for (int32_t id : largest(raw, std::min(wanted, args.top))) {
    *ids++ = id;
    *logprobs++ = logprob_of(raw[static_cast<size_t>(id)], log_sum);
  }
}

void sample_row(const KernelTable& kernels, const SampleArgs& args, int64_t r) {
  const std::span<float> logits(args.logits + r * args.vocab, static_cast<size_t>(args.vocab));
  const Row row{kernels, logits};
  row.drop_nonfinite();
  const float max = row.largest();
  args.tokens[r] = -1;
  args.logprobs[r] = 0;
  const bool wants_logprobs = max != kNever && args.sample[r].logprobs > 0;
  const std::vector<float> raw(logits.begin(), wants_logprobs ? logits.end() : logits.begin());
  const double log_sum = wants_logprobs ? log_sum_exp(raw, max) : 0.0;
  put_top(args, r, raw, log_sum);
  if (max == kNever) return;
  const int32_t token = choose(args, r, row);
  args.tokens[r] = token;
  if (wants_logprobs) args.logprobs[r] = logprob_of(raw[static_cast<size_t>(token)], log_sum);
}

/// As in sampling, a logit that is not finite counts as -infinity.
float score_row(const KernelTable& kernels, const ScoreArgs& args, int64_t r) {
  const float* from = args.logits + r * args.vocab;
  std::vector<float> logits(from, from + args.vocab);
  const Row row{kernels, logits};
  row.drop_nonfinite();
  const float max = row.largest();
  if (max == kNever) return __builtin_nanf("");
  return logprob_of(logits[static_cast<size_t>(args.targets[r])], log_sum_exp(logits, max));
}

}  // namespace

void sample(Context& context, const SampleArgs& args) {
  cpu(context).pool().parallel_for(args.rows, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) sample_row(cpu(context).kernels(), args, r);
  });
}

void score(Context& context, const ScoreArgs& args) {
  cpu(context).pool().parallel_for(args.rows, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r)
      args.scores[r] = score_row(cpu(context).kernels(), args, r);
  });
}

}  // namespace llmpq
