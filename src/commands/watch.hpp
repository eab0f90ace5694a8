// Acts on what the watchdog finds: a rank that is lost ends the job, with all finished rows saved;
// a signal is told. Made by generate on every rank.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/mpi.hpp"
#include "input/job.hpp"
#include "pipeline/watchdog.hpp"
#include "plan/plan.hpp"

namespace llmpq {

class Watch {
 public:
  /// From here on `mpi`, which must outlive it, lets it look around while it waits. Collective;
  /// after catch_stop_signals().
  Watch(Mpi& mpi, const Job& job);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// To be called often; does not come back if a rank is lost. The MPI thread's.
  void look(const Activity& mine);
  Stop stop() const { return watchdog_.stop(); }
  /// Error(kStoppedEarly) if a stop was asked for. Any thread.
  void check_not_stopped() const;

  /// From now on lost ranks are named with their stage.
  void set_plan(const Plan& plan);
  /// Who keeps a step from coming back.
  std::string blame(int64_t step) const { return watchdog_.blame(step, pipeline_); }
  /// `save` is called before the job is ended; empty: there is nothing to save.
  void save_with(std::function<void()> save) { save_ = std::move(save); }
  /// This rank has failed and has told its error: lets rank 0 save what is finished and end the
  /// job. Comes back if it does not, and at once on rank 0.
  void tell_failed(Exit code);

 private:
  [[noreturn]] void give_up(const std::string& sentence);
  [[noreturn]] void end_after(const FailedRank& failed);

  Mpi& mpi_;
  int64_t grace_s_;
  Watchdog watchdog_;
  std::vector<int> pipeline_;  ///< the stages' ranks
  std::function<void()> save_;
  Stop told_ = Stop::kNo;
  Activity mine_;  ///< the last that is known: it does not change while this rank waits
};

}  // namespace llmpq
