// A rank's stage at work: the MPI thread moves messages, a second thread computes, so that the
// activations of one step travel while the next step is computed.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <exception>
#include <optional>
#include <thread>
#include <vector>

#include "base/timer.hpp"
#include "pipeline/activity.hpp"
#include "pipeline/links.hpp"
#include "pipeline/queue.hpp"
#include "pipeline/timeline.hpp"
#include "stage/stage.hpp"
#include "stage/stage_clock.hpp"

namespace llmpq {

class Worker {
 public:
  /// Starts the compute thread. `index` is the stage's in its pipeline, for messages. `bell` wakes
  /// the MPI thread when a step is computed. `timeline` may be null, and so may `clock`: that of an
  /// emulated device, by which steps end.
  Worker(Stage& stage, size_t index, StageLinks links, Bell& bell, Timeline* timeline,
         StageClock* clock);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// MPI thread: moves what can be moved; true if something was. Throws what the compute thread
  /// met, with stage and step in the sentence.
  bool poll();
  /// Activations are on their way to or from this rank: MPI moves them only while it is called.
  bool transferring() const {
    return sending_ > 0 || (links_.hidden_in && links_.hidden_in->under_way() > 0);
  }
  /// The stop message came, and everything before it is computed and sent.
  bool done() const;
  Activity activity() const;

 private:
  struct Task {
    Step step;
    std::vector<std::byte> hidden;
    double ready_s = 0;  ///< when step and activations were there
  };
  struct Computed {
    Step step;  ///< for the timeline: what is being sent
    std::vector<std::byte> hidden;
    std::vector<std::byte> result;
  };

  bool receive();
  bool hand_over();
  bool send();
  void watch_sends();
  void compute();
  Computed run(Task task);
  void record(const Task& task, double begin_s);

  Stage& stage_;
  size_t index_;
  StageLinks links_;
  Bell& bell_;
  Timeline* timeline_;
  StageClock* clock_;
  std::deque<Step> steps_;                     ///< arrived, waiting for their activations
  std::deque<std::vector<std::byte>> hidden_;  ///< arrived, waiting for their step
  std::deque<TraceEvent> sends_;               ///< under way
  Bell work_bell_;
  Queue<Task> tasks_{&work_bell_};
  Queue<Computed> computed_{&bell_};
  int64_t tasks_given_ = 0, tasks_sent_ = 0;
  bool stopping_ = false;
  int sending_ = 0;
  std::atomic<int64_t> steps_done_{0};
  std::atomic<double> step_begin_s_{0};  ///< 0: nothing is computed
  std::atomic<bool> quit_{false};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
  std::vector<TimedOp> operations_;  ///< of the step that is computed
  std::thread thread_;
};

}  // namespace llmpq
