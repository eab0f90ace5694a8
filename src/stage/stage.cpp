#include "stage/stage.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/check.hpp"
#include "layer/softmax.hpp"
#include "stage/rows.hpp"

namespace llmpq {
namespace {

int64_t bytes_of(const Linear& linear) {
  return linear.matrix.packed.bytes() + linear.bias.bytes();
}
int64_t bytes_of(const Norm& norm) { return norm.weight.bytes() + norm.bias.bytes(); }
int64_t bytes_of(const LayerWeights& w) {
  return bytes_of(w.input_norm) + bytes_of(w.qkv) + bytes_of(w.out) + bytes_of(w.post_norm) +
         bytes_of(w.up) + bytes_of(w.down);
}

void append(StepResult& result, int64_t sequence, const SampledToken& chosen) {
  result.sequences.push_back(sequence);
  result.tokens.push_back(chosen.token);
  result.logprobs.push_back(chosen.logprob);
  result.top_counts.push_back(static_cast<int32_t>(chosen.top_ids.size()));
  result.top_token_ids.insert(result.top_token_ids.end(), chosen.top_ids.begin(),
                              chosen.top_ids.end());
  result.top_logprobs.insert(result.top_logprobs.end(), chosen.top_logprobs.begin(),
                             chosen.top_logprobs.end());
}

/// A row whose logits are all broken ends alone, as a row in error, not the run: token -1.
SampledToken choose_or_none(const SequenceSampler& sampler, std::span<float> logits) {
  const bool any_finite =
      std::any_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); });
  SampledToken none;
  none.token = -1;
  return any_finite ? sampler.choose(logits) : none;
}

}  // namespace

ActivationType activation_type(std::optional<ActivationType> wish, Format format) {
  if (is_16bit(format))
    return wish == ActivationType::kBf16 ? ActivationType::kBf16 : ActivationType::kF32;
  return wish.value_or(ActivationType::kInt8);
}

Stage::Stage(const StageSetup& setup, const Checkpoint& checkpoint, Backend& backend,
             Context& context)
    : config_(checkpoint.config()), backend_(backend), context_(context), setup_(setup) {
  const StagePlan& plan = setup_.plan;
  const bool first = plan.layer_begin == 0, last = plan.layer_end == config_.layers;
  if (first) {
    embedding_ = load_embedding(checkpoint, backend, context);
    bytes_ +=
        embedding_->table.bytes() + embedding_->positions.bytes() + bytes_of(embedding_->norm);
  }
  for (int64_t layer = plan.layer_begin; layer < plan.layer_end; ++layer) {
    const Format format = plan.formats.at(static_cast<size_t>(layer - plan.layer_begin));
    layers_.push_back(load_layer(checkpoint, layer, format, backend, context));
    caches_.push_back(allocate_kv(config_, setup_.sizes, setup_.kv_blocks, backend));
    bytes_ += bytes_of(layers_.back()) + caches_.back().memory.bytes();
  }
  if (last) {
    head_ = load_head(checkpoint, setup_.head_format, backend, context);
    bytes_ += bytes_of(head_->norm) + bytes_of(head_->matrix);
    logits_.resize(static_cast<size_t>(setup_.sizes.max_samples * config_.vocab));
  }
  workspace_.emplace(config_, setup_.sizes, first, last, backend);
  bytes_ += workspace_->memory.bytes();
}

LayerRun Stage::layer_run(Format format) {
  return {config_, backend_.ops(), context_, activation_type(setup_.activation, format),
          *workspace_};
}

std::vector<std::byte> Stage::run(const Step& step, std::span<const std::byte> hidden) {
  const Rows rows = rows_of(step, setup_.sizes, setup_.kv_blocks);
  if (embedding_)
    forward_embedding(layer_run(Format::kBf16), *embedding_, rows);
  else
    load_hidden(step, hidden);
  for (size_t i = 0; i < layers_.size(); ++i)
    forward_layer(layer_run(setup_.plan.formats[i]), layers_[i], caches_[i].view,
                  setup_.plan.layer_begin + static_cast<int64_t>(i), rows);
  if (head_) {
    result_ = StepResult{};
    result_.id = step.id;
    if (step.targets.empty()) {
      start_and_feed(step);
      choose_tokens(step, rows);
    } else {
      score_targets(step, rows);
    }
    return {};
  }
  std::vector<std::byte> out(static_cast<size_t>(rows.count() * config_.hidden) * sizeof(float));
  backend_.copy_to_host(context_, out.data(), workspace_->hidden, static_cast<int64_t>(out.size()));
  context_.synchronize();
  return out;
}

void Stage::load_hidden(const Step& step, std::span<const std::byte> hidden) {
  const auto wanted = static_cast<size_t>(step.rows() * config_.hidden) * sizeof(float);
  CHECK(hidden.size() == wanted, Exit::kMpi, "step {}: {} bytes of activations arrived, want {}",
        step.id, hidden.size(), wanted);
  backend_.copy_to_device(context_, workspace_->hidden, hidden.data(),
                          static_cast<int64_t>(hidden.size()));
}

/// Every token of a sequence passes here once, as a row, before the token after it is chosen: so
/// the samplers' counts are right whoever chose the token, and after a preemption as well.
void Stage::start_and_feed(const Step& step) {
  for (int64_t sequence : step.ends) samplers_.erase(sequence);
  for (const SequenceStart& start : step.starts)
    samplers_.insert_or_assign(
        start.sequence, SequenceSampler(start.row_seed, start.sample, start.prompt_tokens,
                                        start.sampling, config_.eos_token_ids, config_.vocab));
  size_t at = 0;
  for (const StepRange& range : step.ranges) {
    const auto sampler = samplers_.find(range.sequence);
    CHECK(sampler != samplers_.end(), Exit::kInternal,
          "step {}: sequence {} has rows but never started", step.id, range.sequence);
    const auto count = static_cast<size_t>(range.rows);
    sampler->second.feed(std::span(step.tokens).subspan(at, count), range.position);
    at += count;
  }
}

/// The logits [samples, vocab] of the step's sampled rows, in host memory.
std::span<float> Stage::logits_of(const Rows& rows) {
  forward_head(layer_run(setup_.head_format), *head_, rows);
  const auto vocab = static_cast<size_t>(config_.vocab);
  const std::span<float> logits(logits_.data(), rows.sampled.size() * vocab);
  backend_.copy_to_host(context_, logits.data(), workspace_->logits,
                        static_cast<int64_t>(logits.size_bytes()));
  context_.synchronize();
  return logits;
}

void Stage::choose_tokens(const Step& step, const Rows& rows) {
  if (rows.sampled.empty()) return;
  const auto vocab = static_cast<size_t>(config_.vocab);
  const std::span<float> logits = logits_of(rows);
  size_t row = 0;
  for (const StepRange& range : step.ranges) {
    if (!range.sample) continue;
    append(result_, range.sequence,
           choose_or_none(samplers_.at(range.sequence), logits.subspan(row * vocab, vocab)));
    ++row;
  }
}

void Stage::score_targets(const Step& step, const Rows& rows) {
  if (rows.sampled.empty()) return;
  const auto vocab = static_cast<size_t>(config_.vocab);
  const std::span<float> logits = logits_of(rows);
  for (size_t i = 0; i < rows.sampled.size(); ++i) {
    const int32_t target = step.targets[static_cast<size_t>(rows.sampled[i])];
    CHECK(target < config_.vocab, Exit::kMpi, "step {}: target {} of a vocabulary of {}", step.id,
          target, config_.vocab);
    const std::span<float> row = logits.subspan(i * vocab, vocab);
    const float max = *std::max_element(row.begin(), row.end());
    result_.scores.push_back(
        static_cast<float>(row[static_cast<size_t>(target)] - log_sum_exp(row, max)));
  }
}

}  // namespace llmpq
