#include "pipeline/request.hpp"

#include <algorithm>
#include <utility>

#include "base/utf8.hpp"

namespace llmpq {

StopFinder::StopFinder(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::optional<StopFinder::Match> StopFinder::find(const std::string& text, size_t old_size) const {
  std::optional<Match> best;
  for (const std::string& stop : stops_) {
    const size_t from = old_size >= stop.size() ? old_size - stop.size() + 1 : 0;
    const size_t at = text.find(stop, from);
    if (at != std::string::npos && (!best || at < best->position)) best = Match{at, &stop};
  }
  return best;
}

RunningRequest::RunningRequest(Request request, const Tokenizer* tokenizer,
                               std::span<const int32_t> eos_token_ids)
    : request_(std::move(request)),
      tokenizer_(tokenizer),
      eos_(eos_token_ids.begin(), eos_token_ids.end()),
      stops_(request_.sampling.stop) {
  if (tokenizer_) decoder_ = std::make_unique<IncrementalDecoder>(*tokenizer_);
  row_.row = request_.row;
  row_.sample = request_.sample;
  row_.prompt_tokens = static_cast<int32_t>(request_.prompt.size());
}

void RunningRequest::append(const ChosenToken& chosen) {
  row_.token_ids.push_back(chosen.token);
  if (decoder_) row_.text += decoder_->push(chosen.token);
  const int32_t wanted = request_.sampling.logprobs;
  if (wanted > 0) row_.logprobs.push_back(chosen.logprob);
  if (wanted > 1) {
    row_.top_token_ids.insert(row_.top_token_ids.end(), chosen.top_ids.begin(),
                              chosen.top_ids.end());
    row_.top_logprobs.insert(row_.top_logprobs.end(), chosen.top_logprobs.begin(),
                             chosen.top_logprobs.end());
  }
}

bool RunningRequest::ends_with(int32_t token) {
  const auto& own = request_.sampling.stop_token_ids;
  const bool ends =
      std::find(own.begin(), own.end(), token) != own.end() ||
      (!request_.sampling.ignore_eos && std::find(eos_.begin(), eos_.end(), token) != eos_.end());
  if (!ends) return false;
  row_.finish_reason = FinishReason::kStop;
  row_.stop_reason = std::to_string(token);
  return true;
}

bool RunningRequest::stops_in_text() {
  const auto count = static_cast<int32_t>(row_.token_ids.size());
  const size_t old_size = std::exchange(searched_, row_.text.size());
  if (count <= request_.sampling.min_tokens) return false;
  const auto match = stops_.find(row_.text, old_size);
  if (!match) return false;
  row_.finish_reason = FinishReason::kStop;
  row_.stop_reason = *match->stop;
  row_.text.resize(match->position);
  decoder_.reset();  // what it still holds back lies beyond the stop string
  return true;
}

bool RunningRequest::push(const ChosenToken& chosen) {
  if (chosen.token < 0) {
    row_ = failed_row(request_.row, request_.sample,
                      "the model's logits are not finite at output token " +
                          std::to_string(row_.token_ids.size()) +
                          "; try another format or --activation-dtype f32");
    decoder_.reset();
    return true;
  }
  append(chosen);
  if (ends_with(chosen.token) || stops_in_text()) return true;
  if (static_cast<int32_t>(row_.token_ids.size()) < request_.sampling.max_tokens) return false;
  row_.finish_reason = FinishReason::kLength;
  return true;
}

FinishedRow RunningRequest::finish(int32_t plan_index) {
  if (decoder_) row_.text += decoder_->finish();
  row_.text = sanitize_utf8(row_.text);
  if (row_.finish_reason != FinishReason::kError) row_.plan_index = plan_index;
  return std::move(row_);
}

FinishedRow failed_row(int64_t row, int32_t sample, std::string sentence) {
  FinishedRow failed;
  failed.row = row;
  failed.sample = sample;
  failed.finish_reason = FinishReason::kError;
  failed.error = std::move(sentence);
  failed.prompt_tokens = -1;
  failed.plan_index = -1;
  return failed;
}

}  // namespace llmpq
