#include "layer/chooser.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr int64_t kMostTop = 20;  // the largest --logprobs
/// Entries of the lists besides what one sequence may need: most steps then go in one piece.
constexpr int64_t kCountedPerRow = 256, kMaskedPerRow = 16;

constexpr int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

/// Where everything lies in one piece of memory, the same on host and device.
struct ChooserLayout {
  int64_t counted_capacity, masked_capacity;
  int64_t rows, counted, masked;                    ///< up; `masked` holds targets when scoring
  int64_t tokens, logprobs, top_ids, top_logprobs;  ///< down
  int64_t bytes;

  ChooserLayout(int64_t max_rows, int64_t max_model_len, int64_t vocab) {
    counted_capacity = std::min(max_model_len, vocab) + kCountedPerRow * max_rows;
    masked_capacity = vocab + kMaskedPerRow * max_rows;
    int64_t next = 0;
    const auto take = [&](int64_t size) { return std::exchange(next, next + aligned(size)); };
    rows = take(max_rows * int64_t{sizeof(SampleRow)});
    counted = take(counted_capacity * int64_t{sizeof(TokenCount)});
    masked = take(masked_capacity * 4);
    tokens = take(max_rows * 4);
    logprobs = take(max_rows * 4);
    top_ids = take(max_rows * kMostTop * 4);
    top_logprobs = take(max_rows * kMostTop * 4);
    bytes = next;
  }
};

template <typename T>
T* at(Buffer& memory, int64_t offset) {
  return reinterpret_cast<T*>(memory.data() + offset);
}

int64_t most_top(const std::vector<SampleRow>& rows) {
  int64_t most = 0;
  for (const SampleRow& row : rows)
    if (row.logprobs > 1) most = std::max<int64_t>(most, row.logprobs);
  return most;
}

}  // namespace

int64_t chooser_bytes(const ModelConfig& config, const Sizes& sizes) {
  return ChooserLayout(sizes.max_samples, sizes.max_model_len, config.vocab).bytes;
}

Chooser::Chooser(const ModelConfig& config, const Sizes& sizes, Backend& backend)
    : vocab_(config.vocab),
      max_rows_(sizes.max_samples),
      max_model_len_(sizes.max_model_len),
      backend_(backend),
      device_(backend.allocate(chooser_bytes(config, sizes))),
      staging_(backend.allocate_staging(chooser_bytes(config, sizes))) {}

/// Rows whose lists fit together go together; one row's lists always fit.
std::vector<SampledToken> Chooser::choose(std::span<const SequenceSampler* const> samplers,
                                          float* logits, Context& context) {
  const ChooserLayout layout(max_rows_, max_model_len_, vocab_);
  std::vector<SampledToken> chosen;
  SampleRequests piece;
  size_t begin = 0;
  const auto flush = [&](size_t end) {
    if (end > begin)
      choose_piece(piece, logits + static_cast<int64_t>(begin) * vocab_, context, chosen);
    piece = {};
    begin = end;
  };
  for (size_t i = 0; i < samplers.size(); ++i) {
    SampleRequests with = piece;
    samplers[i]->add_request(with);
    if (std::ssize(with.counted) > layout.counted_capacity ||
        std::ssize(with.masked) > layout.masked_capacity) {
      flush(i);
      with = {};
      samplers[i]->add_request(with);
    }
    piece = std::move(with);
  }
  flush(samplers.size());
  return chosen;
}

void Chooser::choose_piece(const SampleRequests& requests, float* logits, Context& context,
                           std::vector<SampledToken>& chosen) {
  const ChooserLayout layout(max_rows_, max_model_len_, vocab_);
  const auto rows = std::ssize(requests.rows);
  const int64_t top = most_top(requests.rows);
  upload(std::as_bytes(std::span(requests.rows)), layout.rows, layout.counted, context);
  upload(std::as_bytes(std::span(requests.counted)), layout.counted, layout.masked, context);
  upload(std::as_bytes(std::span(requests.masked)), layout.masked, layout.tokens, context);
  backend_.ops().sample(context, {.logits = logits,
                                  .rows = rows,
                                  .vocab = vocab_,
                                  .sample = at<SampleRow>(device_, layout.rows),
                                  .counted = at<TokenCount>(device_, layout.counted),
                                  .masked = at<int32_t>(device_, layout.masked),
                                  .top = top,
                                  .tokens = at<int32_t>(device_, layout.tokens),
                                  .logprobs = at<float>(device_, layout.logprobs),
                                  .top_ids = at<int32_t>(device_, layout.top_ids),
                                  .top_logprobs = at<float>(device_, layout.top_logprobs)});
  const int64_t down = (top > 0 ? layout.bytes : layout.top_ids) - layout.tokens;
  backend_.copy_to_host(context, staging_.data() + layout.tokens, device_.data() + layout.tokens,
                        down);
  context.synchronize();
  for (int64_t row = 0; row < rows; ++row) {
    SampledToken token;
    token.token = at<int32_t>(staging_, layout.tokens)[row];
    token.logprob = at<float>(staging_, layout.logprobs)[row];
    const int32_t wanted = requests.rows[static_cast<size_t>(row)].logprobs;
    if (wanted > 1 && token.token >= 0) {
      const int64_t count = std::min<int64_t>(wanted, vocab_);
      const int32_t* ids = at<int32_t>(staging_, layout.top_ids) + row * top;
      const float* values = at<float>(staging_, layout.top_logprobs) + row * top;
      token.top_ids.assign(ids, ids + count);
      token.top_logprobs.assign(values, values + count);
    }
    chosen.push_back(std::move(token));
  }
}

std::vector<float> Chooser::score(std::span<const int32_t> targets, const float* logits,
                                  Context& context) {
  const ChooserLayout layout(max_rows_, max_model_len_, vocab_);
  upload(std::as_bytes(targets), layout.masked, layout.tokens, context);
  backend_.ops().score(context, {.logits = logits,
                                 .targets = at<int32_t>(device_, layout.masked),
                                 .rows = std::ssize(targets),
                                 .vocab = vocab_,
                                 .scores = at<float>(device_, layout.logprobs)});
  std::vector<float> scores(targets.size());
  const auto bytes = static_cast<int64_t>(scores.size() * sizeof(float));
  backend_.copy_to_host(context, staging_.data() + layout.logprobs,
                        device_.data() + layout.logprobs, bytes);
  context.synchronize();
  std::memcpy(scores.data(), staging_.data() + layout.logprobs, static_cast<size_t>(bytes));
  return scores;
}

void Chooser::upload(std::span<const std::byte> list, int64_t begin, int64_t end,
                     Context& context) {
  const auto bytes = static_cast<int64_t>(list.size());
  CHECK(begin + bytes <= end, Exit::kInternal, "a step's sampling list has {} bytes, room for {}",
        bytes, end - begin);
  if (bytes > 0) std::memcpy(staging_.data() + begin, list.data(), list.size());
  backend_.copy_to_device(context, device_.data() + begin, staging_.data() + begin, bytes);
}

}  // namespace llmpq
