#include "stage/stage.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "kernels/check.hpp"
#include "layer/reading_order.hpp"
#include "stage/rows.hpp"

namespace llmpq {
namespace {

constexpr int64_t kLogitsPieceBytes = 16 << 20;  ///< rows enough for all the observer's threads

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

/// The step's name in the device's profiler.
class RangeMark {
 public:
  RangeMark(Backend& backend, const Step& step) : backend_(backend) {
    backend_.begin_range(fmt::format("step {}: {} rows", step.id, step.rows()));
  }
  ~RangeMark() { backend_.end_range(); }
  RangeMark(const RangeMark&) = delete;
  RangeMark& operator=(const RangeMark&) = delete;

 private:
  Backend& backend_;
};

}  // namespace

ActivationType activation_type(std::optional<ActivationType> wish, Format format,
                               const Backend& backend) {
  const bool integers_before_16bit = wish == ActivationType::kInt8 && is_16bit(format);
  return integers_before_16bit ? ActivationType::kF32
                               : wish.value_or(backend.default_activation(format));
}

Stage::Stage(const StageSetup& setup, const Checkpoint& checkpoint, Backend& backend,
             Context& context)
    : config_(checkpoint.config()),
      backend_(backend),
      context_(context),
      setup_(setup),
      logits_on_host_(backend, kLogitsPieceBytes) {
  load_weights(checkpoint);
  if (setup_.calibration) std::exchange(setup_.calibration, nullptr)->free_buffers();
  allocate_buffers();
}

void Stage::load_weights(const Checkpoint& checkpoint) {
  const StagePlan& plan = setup_.plan;
  const auto ahead = checkpoint.read_ahead(plan.layer_begin, plan.layer_end);
  const auto begin_step = [&] {
    if (ahead) ahead->begin_step();
  };
  if (plan.layer_begin == 0) {
    begin_step();
    embedding_ = load_embedding(checkpoint, backend_, context_);
    bytes_ += weight_bytes(*embedding_);
    if (setup_.calibration) setup_.calibration->embed(*embedding_);
  }
  for (int64_t layer = plan.layer_begin; layer < plan.layer_end; ++layer) {
    if (setup_.before_layer) setup_.before_layer();
    begin_step();
    const Format format = plan.formats.at(static_cast<size_t>(layer - plan.layer_begin));
    layers_.push_back(setup_.calibration
                          ? setup_.calibration->load_layer(layer, format, context_)
                          : load_layer(checkpoint, layer, format, backend_, context_));
    bytes_ += weight_bytes(layers_.back());
  }
  if (plan.layer_end == config_.layers) {
    begin_step();
    head_ = setup_.calibration ? setup_.calibration->load_head(setup_.head_format, context_)
                               : load_head(checkpoint, setup_.head_format, backend_, context_);
    bytes_ += weight_bytes(*head_);
  }
  tell_reading_order(layers_, head_ ? &*head_ : nullptr);
}

/// After this nothing is allocated on the device: what a step needs is there.
void Stage::allocate_buffers() {
  const Sizes& sizes = setup_.sizes;
  for (size_t i = 0; i < layers_.size(); ++i) {
    caches_.push_back(allocate_kv(config_, sizes, setup_.kv_blocks, backend_));
    bytes_ += caches_.back().memory.bytes();
  }
  workspace_.emplace(config_, sizes, first(), last(), backend_);
  rows_.emplace(sizes, setup_.kv_blocks, backend_);
  bytes_ += workspace_->memory.bytes() + rows_->bytes();
  if (last()) {
    chooser_.emplace(config_, sizes, backend_);
    bytes_ += chooser_->bytes();
  }
  if (!first() || !last())
    hidden_staging_ =
        backend_.allocate_staging(sizes.max_rows * config_.hidden * int64_t{sizeof(float)});
  const int64_t scratch = scratch_bytes(backend_.kind(), scratch_needs(config_, sizes, last()));
  context_.reserve_scratch(scratch);
  bytes_ += scratch;
}

void Stage::connect(StagePorts ports) {
  ports_ = std::move(ports);
  const int64_t links = (ports_.in ? 1 : 0) + (ports_.out ? 1 : 0);
  bytes_ += links * link_bytes(setup_.sizes.max_rows * config_.hidden);
}

LayerRun Stage::layer_run(Format format) {
  return {config_,     timed_ ? timed_ops(backend_.ops(), *timed_) : backend_.ops(),
          context_,    activation_type(setup_.activation, format, backend_),
          *workspace_, observer_};
}

void Stage::time_operations(std::vector<TimedOp>* list) {
  timed_ = backend_.kind() == BackendKind::kCpu ? list : nullptr;
}

WorkKind Stage::work_kind(Format format) const {
  return {format, activation_type(setup_.activation, format, backend_), setup_.sizes.kv_type,
          backend_.kind()};
}

StepWork Stage::work(const StepShape& shape) const {
  StepWork sum;
  if (embedding_) sum += embedding_work(config_, shape);
  for (const Format format : setup_.plan.formats)
    sum += layer_work(config_, work_kind(format), shape);
  if (head_) sum += head_work(config_, work_kind(setup_.head_format), shape);
  return sum;
}

std::vector<std::byte> Stage::run(const Step& step, std::span<const std::byte> hidden) {
  if (meter_) meter_->begin();
  const RangeMark mark(backend_, step);
  const Rows rows = rows_of(step, setup_.sizes, setup_.kv_blocks);
  const RowsView view = rows_->upload(rows, context_);
  const int64_t floats = view.count * config_.hidden;
  if (ports_.in)
    ports_.in->receive(context_, workspace_->hidden, floats);
  else if (!embedding_)
    load_hidden(step, hidden);
  queue_forward(rows, view);
  if (!head_ && !ports_.out) return take_hidden(view);
  if (ports_.out) ports_.out->send(context_, workspace_->hidden, floats);
  if (head_) finish_step(step, rows);
  if (head_ && meter_) meter_->charge(false, setup_.head_format);
  context_.synchronize();  // the next step overwrites the staging memory
  return {};
}

/// The last stage's end of a step: tokens or scores from the logits.
void Stage::finish_step(const Step& step, const Rows& rows) {
  result_ = StepResult{};
  result_.id = step.id;
  if (step.targets.empty()) {
    start_and_feed(step);
    choose_tokens(step);
  } else {
    score_targets(step, rows);
  }
}

void Stage::load_hidden(const Step& step, std::span<const std::byte> hidden) {
  const auto wanted = static_cast<size_t>(step.rows() * config_.hidden) * sizeof(float);
  CHECK(hidden.size() == wanted, Exit::kMpi, "step {}: {} bytes of activations arrived, want {}",
        step.id, hidden.size(), wanted);
  std::memcpy(hidden_staging_.data(), hidden.data(), hidden.size());
  backend_.copy_to_device(context_, workspace_->hidden, hidden_staging_.data(),
                          static_cast<int64_t>(hidden.size()));
}

/// Steps of single rows come again and again with the same sizes, and each of their many operations
/// is short: they are recorded. A context counts in powers of two, so that the recording serves
/// until it has doubled. An observer would see only what is recorded, and with experts the host
/// decides on the way what is launched. (A meter is a CPU's, which records nothing.)
void Stage::queue_forward(const Rows& rows, RowsView view) {
  RangeList& ranges = view.ranges;
  if (observer_ || config_.experts > 0 || ranges.singles < ranges.count) return forward(view);
  const auto tokens = static_cast<uint64_t>(ranges.most_tokens);
  ranges.most_tokens =
      std::min(static_cast<int64_t>(std::bit_ceil(tokens)), setup_.sizes.max_model_len);
  const uint64_t key = static_cast<uint64_t>(std::bit_width(tokens - 1)) << 58 |
                       static_cast<uint64_t>(rows.count()) << 29 |
                       static_cast<uint64_t>(rows.sampled.size());
  context_.run_recorded(key, [&] { forward(view); });
}

/// Embedding, layers, head: everything between the rows and the logits (or the next stage).
void Stage::forward(const RowsView& view) {
  if (embedding_) forward_embedding(layer_run(Format::kBf16), *embedding_, view);
  if (meter_) meter_->charge(false, std::nullopt);
  for (size_t i = 0; i < layers_.size(); ++i) {
    forward_layer(layer_run(setup_.plan.formats[i]), layers_[i], caches_[i].view,
                  setup_.plan.layer_begin + static_cast<int64_t>(i), view);
    if (meter_) meter_->charge(true, setup_.plan.formats[i]);
  }
  if (head_) forward_head(layer_run(setup_.head_format), *head_, view);
}

std::vector<std::byte> Stage::take_hidden(const RowsView& view) {
  const int64_t bytes = view.count * config_.hidden * int64_t{sizeof(float)};
  backend_.copy_to_host(context_, hidden_staging_.data(), workspace_->hidden, bytes);
  context_.synchronize();
  if (meter_) meter_->charge(false, std::nullopt);
  return {hidden_staging_.data(), hidden_staging_.data() + bytes};
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

/// A row whose logits are all broken gets the token -1 and ends alone, as a row in error.
void Stage::choose_tokens(const Step& step) {
  std::vector<const SequenceSampler*> samplers;
  std::vector<int64_t> sequences;
  for (const StepRange& range : step.ranges) {
    if (!range.sample) continue;
    sequences.push_back(range.sequence);
    samplers.push_back(&samplers_.at(range.sequence));
  }
  if (samplers.empty()) return;
  const auto chosen = chooser_->choose(samplers, workspace_->logits, context_);
  for (size_t i = 0; i < chosen.size(); ++i) append(result_, sequences[i], chosen[i]);
}

void Stage::score_targets(const Step& step, const Rows& rows) {
  std::vector<int32_t> targets;
  for (int32_t row : rows.sampled) {
    const int32_t target = step.targets[static_cast<size_t>(row)];
    CHECK(target < config_.vocab, Exit::kMpi, "step {}: target {} of a vocabulary of {}", step.id,
          target, config_.vocab);
    targets.push_back(target);
  }
  if (targets.empty()) return;
  result_.scores = chooser_->score(targets, workspace_->logits, context_);
  if (logits_observer_) show_logits(std::ssize(targets));
}

void Stage::show_logits(int64_t rows) {
  const auto show = [&](const float* logits, int64_t count) {
    logits_observer_->see_logits({logits, static_cast<size_t>(count * config_.vocab)}, result_);
  };
  if (backend_.kind() == BackendKind::kCpu)
    show(workspace_->logits, rows);  // the host's memory as it is
  else
    logits_on_host_.for_each_piece(context_, workspace_->logits, rows, config_.vocab, show);
}

}  // namespace llmpq
