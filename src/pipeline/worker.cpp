#include "pipeline/worker.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

std::string_view kind_name(StepKind kind) {
  switch (kind) {
    case StepKind::kPrefill:
      return "prefill";
    case StepKind::kDecode:
      return "decode";
    case StepKind::kMixed:
      break;
  }
  return "mixed";
}

TraceEvent event_of(const Step& step, int32_t rank, int32_t track, std::string category) {
  TraceEvent event;
  event.name = step.lane < 0
                   ? fmt::format("{} {}", kind_name(step.kind), step.rows())
                   : fmt::format("{} {} lane {}", kind_name(step.kind), step.rows(), step.lane);
  event.category = std::move(category);
  event.rank = rank;
  event.track = track;
  event.step = step.id;
  return event;
}

}  // namespace

Worker::Worker(Stage& stage, size_t index, StageLinks links, Bell& bell, Timeline* timeline,
               StageClock* clock)
    : stage_(stage),
      index_(index),
      links_(std::move(links)),
      bell_(bell),
      timeline_(timeline),
      clock_(clock) {
  if (clock_) clock_->watch(stage_);
  const bool with_operations = timeline_ && timeline_->with_operations;
  stage_.time_operations(with_operations ? &operations_ : nullptr);
  thread_ = std::thread([this] { compute(); });
}

Worker::~Worker() {
  quit_ = true;
  work_bell_.ring();
  thread_.join();
  stage_.time_operations(nullptr);
}

bool Worker::poll() {
  if (failed_) std::rethrow_exception(error_);
  return receive() | hand_over() | send();
}

bool Worker::done() const {
  return stopping_ && steps_.empty() && tasks_given_ == tasks_sent_ && sending_ == 0;
}

Activity Worker::activity() const {
  const double begin_s = step_begin_s_;
  return {steps_done_, begin_s > 0 ? steady_seconds() - begin_s : -1};
}

bool Worker::receive() {
  bool moved = false;
  links_.steps->post();
  while (auto message = links_.steps->take()) {
    if (message->empty())
      stopping_ = true;
    else
      steps_.push_back(unpack_step(*message));
    moved = true;
  }
  if (!links_.hidden_in) return moved;
  links_.hidden_in->post();
  while (auto message = links_.hidden_in->take()) {
    hidden_.push_back(std::move(*message));
    moved = true;
  }
  return moved;
}

bool Worker::hand_over() {
  bool moved = false;
  while (!steps_.empty() && (!links_.hidden_in || !hidden_.empty())) {
    Task task{std::move(steps_.front()), {}, steady_seconds()};
    steps_.pop_front();
    if (links_.hidden_in) {
      task.hidden = std::move(hidden_.front());
      hidden_.pop_front();
    }
    tasks_.push(std::move(task));
    ++tasks_given_;
    moved = true;
  }
  return moved;
}

bool Worker::send() {
  bool moved = false;
  LinkOut* const out = links_.hidden_out ? links_.hidden_out.get() : links_.results.get();
  while (auto computed = computed_.take()) {
    moved = true;
    ++tasks_sent_;
    if (out == nullptr) continue;  // a device link has taken it
    if (timeline_) {
      sends_.push_back(event_of(computed->step, timeline_->rank, kSending, "transfer"));
      sends_.back().begin_s = steady_seconds();
    }
    out->start(links_.hidden_out ? std::move(computed->hidden) : std::move(computed->result));
  }
  const int before = std::exchange(sending_, out == nullptr ? 0 : out->finish());
  watch_sends();
  return moved || before != sending_;
}

/// Sends end in the order in which they began: the oldest events beyond the `sending_` youngest are
/// over.
void Worker::watch_sends() {
  while (timeline_ && sends_.size() > static_cast<size_t>(sending_)) {
    sends_.front().end_s = steady_seconds();
    append(timeline_->transfers, std::move(sends_.front()));
    sends_.pop_front();
  }
}

Worker::Computed Worker::run(Task task) {
  Computed computed;
  const double begin_s = steady_seconds();
  computed.hidden = stage_.run(task.step, task.hidden);
  if (stage_.last()) computed.result = pack(stage_.take_result());
  if (clock_) clock_->wait_for_end(task.step, task.ready_s);
  if (timeline_) record(task, begin_s);
  computed.step = std::move(task.step);
  return computed;
}

void Worker::record(const Task& task, double begin_s) {
  const Step& step = task.step;
  TraceEvent event = event_of(step, timeline_->rank, kComputing, std::string(kind_name(step.kind)));
  event.begin_s = begin_s;
  event.end_s = steady_seconds();
  if (!append(timeline_->computing, std::move(event))) return;
  timeline_->steps.push_back({step.kind, shape_of(step)});
  TraceEvent wait = event_of(step, timeline_->rank, kWaiting, "wait");
  wait.begin_s = task.ready_s;
  wait.end_s = begin_s;
  append(timeline_->waiting, std::move(wait));
  for (const TimedOp& operation : operations_)
    append(timeline_->operations, {operation.name, "operation", timeline_->rank, kOperations,
                                   step.id, operation.begin_s, operation.end_s});
  operations_.clear();
}

void Worker::compute() {
  int64_t step = -1;
  try {
    while (!quit_) {
      auto task = tasks_.take();
      if (!task) {
        work_bell_.wait(std::chrono::milliseconds(100));
        continue;
      }
      step = task->step.id;
      step_begin_s_ = steady_seconds();
      computed_.push(run(std::move(*task)));
      step_begin_s_ = 0;
      ++steps_done_;
    }
  } catch (const Error& error) {
    error_ = std::make_exception_ptr(
        Error(error.code(), fmt::format("stage {}, step {}: {}", index_, step, error.what())));
    failed_ = true;
    bell_.ring();
  } catch (const std::exception& error) {
    error_ = std::make_exception_ptr(
        Error(Exit::kInternal, fmt::format("stage {}, step {}: {}", index_, step, error.what())));
    failed_ = true;
    bell_.ring();
  }
}

}  // namespace llmpq
