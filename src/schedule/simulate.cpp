#include "schedule/simulate.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// The clocks of stages and links. Everything keeps its order (steps on a stage, messages on a
/// link, results), so a step's whole way is known when it is released: nothing that is released
/// later can change it, and no queue of events is needed.
class Clocks {
 public:
  Clocks(const SimulationSetup& setup, SimulationResult& result)
      : setup_(setup),
        result_(result),
        stage_free_s_(setup.stages.size()),
        step_s_(setup.stages.size()),
        link_free_s_(setup.links.size()) {}

  /// When the step's result reaches rank 0.
  double run(const Step& step, const StepShape& shape, double released_s) {
    const double arrives_s = released_s + setup_.control_s;
    double ready_s = arrives_s;  // control message and activations are there
    for (size_t stage = 0; stage < setup_.stages.size(); ++stage) {
      const double computed_s = compute(stage, step, shape, ready_s);
      if (stage == setup_.links.size()) return computed_s + setup_.result_s;
      ready_s = std::max(arrives_s, transfer(stage, step, shape, computed_s));
    }
    return ready_s;
  }

 private:
  double compute(size_t stage, const Step& step, const StepShape& shape, double ready_s) {
    const double seconds = step_s_[stage] = seconds_of(stage, shape);
    const double begin_s = std::max(ready_s, stage_free_s_[stage]);
    stage_free_s_[stage] = begin_s + seconds;
    result_.stages[stage].busy_s.of(step.kind) += seconds;
    record(stage, false, step, shape, begin_s, stage_free_s_[stage]);
    return stage_free_s_[stage];
  }

  double seconds_of(size_t stage, const StepShape& shape) const {
    if (!setup_.like.empty() && setup_.like[stage] < stage) return step_s_[setup_.like[stage]];
    const double seconds = setup_.stages[stage](shape);
    CHECK(std::isfinite(seconds) && seconds >= 0, Exit::kInternal,
          "stage {} takes {} s for {} prefill and {} decode rows", stage, seconds,
          shape.prefill_rows, shape.decode_rows);
    return seconds;
  }

  double transfer(size_t link, const Step& step, const StepShape& shape, double ready_s) {
    const SimulatedLink& to_next = setup_.links[link];
    const double seconds =
        to_next.model.seconds(static_cast<double>(shape.rows()) * to_next.bytes_per_row);
    const double begin_s = std::max(ready_s, link_free_s_[link]);
    link_free_s_[link] = begin_s + seconds;
    result_.link_busy_s[link] += seconds;
    record(link, true, step, shape, begin_s, link_free_s_[link]);
    return link_free_s_[link];
  }

  void record(size_t stage, bool transfer, const Step& step, const StepShape& shape, double begin_s,
              double end_s) {
    if (!setup_.record_events) return;
    result_.events.push_back({static_cast<int32_t>(stage), transfer, step.id, step.kind, step.lane,
                              shape.rows(), begin_s, end_s});
  }

  const SimulationSetup& setup_;
  SimulationResult& result_;
  std::vector<double> stage_free_s_;  ///< [stages]
  std::vector<double> step_s_;        ///< [stages] of the step under way
  std::vector<double> link_free_s_;   ///< [stages - 1]
};

/// The driver's part: what Driver::poll does, in its order, at each moment when results come.
class Simulation {
 public:
  Simulation(const SimulationSetup& setup, std::span<const SimulatedRow> rows)
      : setup_(setup),
        rows_(rows),
        scheduler_(setup.scheduler, StepContents::kRanges),
        clocks_(setup, result_),
        left_(rows.size()) {
    result_.finish_s.assign(rows.size(), -1);
    result_.stages.resize(setup.stages.size());
    result_.link_busy_s.resize(setup.links.size());
  }

  SimulationResult run() {
    admit();
    send(0);
    while (!under_way_.empty()) {
      const double now_s = under_way_.front().arrives_s;
      while (!under_way_.empty() && under_way_.front().arrives_s <= now_s) take();
      admit();
      send(now_s);
    }
    CHECK(scheduler_.idle() && next_row_ == rows_.size(), Exit::kInternal,
          "the scheduler sends nothing although {} rows are not finished",
          rows_.size() - static_cast<size_t>(result_.rows + result_.failed_rows));
    result_.preemptions = scheduler_.counts().preemptions;
    for (SimulatedStage& stage : result_.stages)
      stage.idle_s = std::max(0.0, result_.seconds - stage.busy_s.sum());
    return std::move(result_);
  }

 private:
  struct UnderWay {
    double arrives_s;
    Step step;
  };

  /// Prompts are there when the scheduler wants them: reading ahead is never what takes time.
  void admit() {
    int64_t waiting = scheduler_.counts().waiting;
    for (; waiting < setup_.window && next_row_ < rows_.size(); ++next_row_)
      waiting += start(rows_[next_row_]);
  }

  /// Whether the row can run, see Feed and Driver::start.
  bool start(const SimulatedRow& row) {
    CHECK(row.prompt_tokens > 0 && row.max_tokens > 0, Exit::kInternal,
          "row {} has {} prompt tokens and max_tokens {}, want at least one each", next_row_,
          row.prompt_tokens, row.max_tokens);
    const int64_t most = std::min(row.max_tokens, setup_.max_model_len - row.prompt_tokens);
    if (most <= 0 || !scheduler_.fits(row.prompt_tokens, most)) {
      ++result_.failed_rows;
      return false;
    }
    const auto or_else = [](int64_t value, int64_t instead) { return value > 0 ? value : instead; };
    const int64_t output = std::min(or_else(row.output_tokens, most), most);
    left_[next_row_] = output;
    SequenceRequest request;
    request.max_tokens = static_cast<int32_t>(most);
    request.expected_tokens =
        static_cast<int32_t>(std::min(or_else(row.expected_tokens, output), most));
    request.start.sequence = static_cast<int64_t>(next_row_);
    request.start.prompt_tokens = static_cast<int32_t>(row.prompt_tokens);
    scheduler_.add(std::move(request));
    result_.prompt_tokens += row.prompt_tokens;
    return true;
  }

  void send(double now_s) {
    while (auto step = scheduler_.next_step()) {
      const StepShape shape = shape_of(*step);
      count(*step);
      const double arrives_s = clocks_.run(*step, shape, now_s);
      under_way_.push_back({arrives_s, std::move(*step)});
    }
  }

  void count(const Step& step) {
    ++result_.steps.of(step.kind);
    for (const StepRange& range : step.ranges) {
      const auto sequence = static_cast<size_t>(range.sequence);
      const bool decode = range.rows == 1 && range.position >= rows_[sequence].prompt_tokens;
      (decode ? result_.decode_rows : result_.prefill_rows) += range.rows;
    }
    const int64_t used = setup_.scheduler.kv_blocks - scheduler_.counts().free_blocks;
    result_.most_kv_blocks = std::max(result_.most_kv_blocks, used);
  }

  /// The oldest step's result is at rank 0.
  void take() {
    const UnderWay arrived = std::move(under_way_.front());
    under_way_.pop_front();
    tokens_.clear();
    for (const StepRange& range : arrived.step.ranges) {
      if (!range.sample) continue;
      const bool finished = --left_[static_cast<size_t>(range.sequence)] == 0;
      tokens_.push_back({range.sequence, 0, finished});
      if (finished) finish(static_cast<size_t>(range.sequence), arrived.arrives_s);
    }
    result_.output_tokens += static_cast<int64_t>(tokens_.size());
    result_.seconds = arrived.arrives_s;
    scheduler_.arrived(arrived.step.id, tokens_);
  }

  void finish(size_t row, double now_s) {
    if (result_.rows++ == 0) result_.first_row_s = now_s;
    result_.finish_s[row] = now_s;
  }

  const SimulationSetup& setup_;
  std::span<const SimulatedRow> rows_;
  SimulationResult result_;
  Scheduler scheduler_;
  Clocks clocks_;
  std::vector<int64_t> left_;  ///< [rows] tokens still to come
  std::deque<UnderWay> under_way_;
  std::vector<ArrivedToken> tokens_;
  size_t next_row_ = 0;
};

void check_setup(const SimulationSetup& setup) {
  const auto stages = static_cast<size_t>(setup.scheduler.stages);
  CHECK(stages > 0 && setup.stages.size() == stages && setup.links.size() + 1 == stages,
        Exit::kInternal, "{} stages need as many times and a link less; there are {} and {}",
        setup.scheduler.stages, setup.stages.size(), setup.links.size());
  CHECK(setup.like.empty() || setup.like.size() == stages, Exit::kInternal,
        "{} stages, and of {} is told which they are like", setup.scheduler.stages,
        setup.like.size());
  CHECK(setup.window > 0, Exit::kInternal, "a window of {} prompts, want at least one",
        setup.window);
  const auto check_seconds = [](double seconds, const char* what) {
    CHECK(std::isfinite(seconds) && seconds >= 0, Exit::kInternal, "{} of {} s", what, seconds);
  };
  check_seconds(setup.control_s, "a control message");
  check_seconds(setup.result_s, "a result message");
  for (const SimulatedLink& link : setup.links) {
    check_seconds(link.model.latency_s, "a link's latency");
    check_seconds(link.model.seconds(link.bytes_per_row), "a link's message");
  }
}

}  // namespace

SimulationResult simulate(const SimulationSetup& setup, std::span<const SimulatedRow> rows) {
  check_setup(setup);
  return Simulation(setup, rows).run();
}

}  // namespace llmpq
