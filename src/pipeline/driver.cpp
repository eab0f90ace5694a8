#include "pipeline/driver.hpp"

#include <algorithm>
#include <utility>

#include "kernels/check.hpp"

namespace llmpq {

Driver::Driver(const DriverSetup& setup, DriverLinks links, const Tokenizer* tokenizer,
               IoThread& io)
    : setup_(setup),
      links_(std::move(links)),
      tokenizer_(tokenizer),
      io_(io),
      scheduler_(setup.scheduler) {}

bool Driver::poll() {
  obey_stop();
  const bool moved = receive_results() | admit() | send_steps();
  check_time(moved);
  if (!ended_ && is_over()) {
    links_.start({});
    ended_ = true;
  }
  sending_ = links_.finish();
  return moved;
}

/// What is finished is saved first: whoever asks for a stop may not wait long.
void Driver::obey_stop() {
  const Stop wanted = setup_.stop ? setup_.stop() : Stop::kNo;
  if (wanted <= stop_) return;
  io_.save_soon();
  if (stop_ == Stop::kNo) {
    io_.stop_reading();
    for (const int64_t sequence : scheduler_.drop_waiting()) running_.erase(sequence);
  }
  stop_ = wanted;
}

bool Driver::is_over() const {
  if (stop_ == Stop::kNow) return scheduler_.counts().steps_under_way == 0;
  return scheduler_.idle() && (stop_ == Stop::kDrain || io_.exhausted());
}

/// Time in which this process itself was stopped is nobody else's fault.
void Driver::check_time(bool moved) {
  constexpr double kLongestPoll_s = 1;
  const double since_poll_s = since_poll_.seconds();
  since_poll_.restart();
  if (stop_ == Stop::kNo && scheduler_.counts().waiting == 0 && !io_.exhausted())
    counts_.starved_s += since_poll_s;
  stalled_s_ = moved ? 0 : stalled_s_ + std::min(since_poll_s, kLongestPoll_s);
  const SchedulerCounts counts = scheduler_.counts();
  if (counts.steps_under_way == 0 || stalled_s_ < setup_.timeout_s) return;
  const int64_t oldest = counts_.steps - counts.steps_under_way;
  fail(Exit::kMpi,
       "no step came back for {:.0f} s (--timeout); {} are under way, the oldest is {}{}",
       setup_.timeout_s, counts.steps_under_way, oldest,
       setup_.blame ? ": " + setup_.blame(oldest) : "");
}

bool Driver::receive_results() {
  bool moved = false;
  links_.results->post();
  while (auto message = links_.results->take()) {
    take(unpack_result(*message));
    moved = true;
  }
  return moved;
}

void Driver::take(const StepResult& result) {
  arrived_.clear();
  size_t top = 0;
  for (size_t i = 0; i < result.tokens.size(); ++i) {
    const auto top_count = static_cast<size_t>(result.top_counts[i]);
    const ChosenToken chosen{result.tokens[i], result.logprobs[i],
                             std::span(result.top_token_ids).subspan(top, top_count),
                             std::span(result.top_logprobs).subspan(top, top_count)};
    top += top_count;
    const auto request = running_.find(result.sequences[i]);
    CHECK(request != running_.end(), Exit::kInternal, "step {} returned a token of sequence {}",
          result.id, result.sequences[i]);
    const bool finished = request->second.push(chosen);
    arrived_.push_back({result.sequences[i], chosen.token, finished});
    ++counts_.output_tokens;
    if (!finished) continue;
    FinishedRow row = request->second.finish(setup_.plan_index);
    ++finished_rows_;
    finished_tokens_ += static_cast<int64_t>(row.token_ids.size());
    io_.add(std::move(row));
    running_.erase(request);
  }
  scheduler_.arrived(result.id, arrived_);
}

bool Driver::admit() {
  bool moved = false;
  while (stop_ == Stop::kNo && !io_.is_behind() && scheduler_.counts().waiting < setup_.window) {
    auto request = io_.take();
    if (!request) break;
    start(std::move(*request));
    moved = true;
  }
  return moved;
}

int64_t Driver::expected_tokens(const Sampling& sampling) const {
  if (sampling.ignore_eos) return sampling.max_tokens;
  int64_t expected = setup_.expected_output_tokens;
  if (expected == 0)
    expected = finished_rows_ > 0 ? finished_tokens_ / finished_rows_ : sampling.max_tokens / 2;
  return std::clamp<int64_t>(expected, 1, sampling.max_tokens);
}

void Driver::start(Request request) {
  SequenceRequest sequence;
  sequence.tokens = request.prompt;
  sequence.max_tokens = request.sampling.max_tokens;
  sequence.expected_tokens = static_cast<int32_t>(expected_tokens(request.sampling));
  SequenceStart& start = sequence.start;
  start.sequence = request.row * setup_.num_samples + request.sample;
  start.prompt_tokens = static_cast<int32_t>(request.prompt.size());
  start.row_seed = request.row_seed;
  start.sample = request.sample;
  start.sampling = request.sampling;
  start.sampling.stop.clear();
  const int64_t id = start.sequence;
  if (!scheduler_.fits(start.prompt_tokens, sequence.max_tokens)) {
    io_.add(failed_row(request.row, request.sample,
                       "the KV cache has no room for the prompt and its output; "
                       "--max-tokens or --max-model-len make it shorter"));
    return;
  }
  running_.try_emplace(id, std::move(request), tokenizer_, setup_.eos_token_ids);
  scheduler_.add(std::move(sequence));
}

void Driver::count_rows(const Step& step) {
  ++counts_.steps;
  for (const StepRange& range : step.ranges) {
    const auto& prompt = running_.at(range.sequence).request().prompt;
    const bool decode = range.rows == 1 && range.position >= static_cast<int64_t>(prompt.size());
    (decode ? counts_.decode_rows : counts_.prefill_rows) += range.rows;
  }
}

bool Driver::send_steps() {
  bool moved = false;
  while (stop_ != Stop::kNow) {
    auto step = scheduler_.next_step();
    if (!step) break;
    count_rows(*step);
    links_.start(pack(*step));
    moved = true;
  }
  counts_.preemptions = scheduler_.counts().preemptions;
  return moved;
}

}  // namespace llmpq
