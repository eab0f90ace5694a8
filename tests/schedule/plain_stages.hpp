// Stages and links as queues that wait and events that happen one after the other: the plain twin
// of the simulator's clocks. Also what stands in for real stages where the driver is tested.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "schedule/simulate.hpp"

namespace llmpq {

class PlainStages {
 public:
  explicit PlainStages(const SimulationSetup& setup)
      : setup_(setup), stages_(setup.stages.size()) {}

  double now_s() const { return now_s_; }
  double next_s() const {
    return events_.empty() ? std::numeric_limits<double>::infinity() : events_.begin()->first.first;
  }
  /// Goes on to the next moment at which something happens, if something will; lets all of it
  /// happen.
  void advance() {
    if (events_.empty()) return;
    now_s_ = next_s();
    while (next_s() <= now_s_) {
      const auto happens = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      happens();
    }
  }
  /// Rank 0 tells every stage of the step.
  void release(const Step& step) {
    for (size_t j = 0; j < stages_.size(); ++j)
      after(setup_.control_s, [this, j, step] {
        stages_[j].told.push_back(step);
        compute(j);
      });
  }

  std::deque<Step> results;  ///< that came back to rank 0

 private:
  struct Stage {
    std::deque<Step> told, computed;
    int64_t activations = 0;  ///< messages from the stage before that were not used yet
    bool computing = false, sending = false;
  };

  void after(double seconds, std::function<void()> happens) {
    events_.emplace(std::pair(now_s_ + seconds, order_++), std::move(happens));
  }
  void compute(size_t j) {
    Stage& stage = stages_[j];
    if (stage.computing || stage.told.empty() || (j > 0 && stage.activations == 0)) return;
    const Step step = std::move(stage.told.front());
    stage.told.pop_front();
    if (j > 0) --stage.activations;
    stage.computing = true;
    after(setup_.stages[j](shape_of(step)), [this, j, step] {
      stages_[j].computing = false;
      leave(j, step);
      compute(j);
    });
  }
  void leave(size_t j, const Step& step) {
    if (j + 1 == stages_.size()) {
      after(setup_.result_s, [this, step] { results.push_back(step); });
    } else {
      stages_[j].computed.push_back(step);
      send(j);
    }
  }
  void send(size_t j) {
    Stage& stage = stages_[j];
    if (stage.sending || stage.computed.empty()) return;
    const double bytes = static_cast<double>(shape_of(stage.computed.front()).rows()) *
                         setup_.links[j].bytes_per_row;
    stage.computed.pop_front();
    stage.sending = true;
    after(setup_.links[j].model.seconds(bytes), [this, j] {
      stages_[j].sending = false;
      ++stages_[j + 1].activations;
      compute(j + 1);
      send(j);
    });
  }

  SimulationSetup setup_;
  std::vector<Stage> stages_;
  std::map<std::pair<double, int64_t>, std::function<void()>> events_;  ///< by time, then order
  int64_t order_ = 0;
  double now_s_ = 0;
};

}  // namespace llmpq
