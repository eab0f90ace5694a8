// Whether all ranks live, and whether anybody asked the job to stop: each rank tells rank 0 of
// itself about once a second, and rank 0 tells each. Pure but for its links. Owned by a rank's MPI
// thread; commands/watch acts on what it finds.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/link.hpp"
#include "base/mpi.hpp"
#include "base/signals.hpp"
#include "pipeline/activity.hpp"
#include "pipeline/stop_requests.hpp"

namespace llmpq {

/// Rank 0: one link out to each other rank, in their order. Other ranks: one to rank 0.
struct WatchLinks {
  std::vector<std::unique_ptr<LinkOut>> out;
  std::unique_ptr<LinkIn> in;
};
WatchLinks make_watch_links(const Mpi& mpi);

struct WatchSetup {
  int rank = 0;
  std::vector<std::string> hosts;  ///< by rank
  double timeout_s = 300;
  double grace_s = 60;
};

/// A rank that has told its error and ends the job.
struct FailedRank {
  int rank = 0;
  Exit code = Exit::kInternal;
};

class Watchdog {
 public:
  Watchdog(const WatchSetup& setup, WatchLinks links, double now_s);

  /// Tells and listens if it is time to. Call it often; it never waits. Returns a sentence with
  /// rank, host, stage and step of a rank that was silent for longer than the timeout. Time in
  /// which this rank itself was stopped does not count.
  std::optional<std::string> poll(double now_s, const Activity& mine, const SignalsSeen& signals);

  /// On rank 0 by the rule of StopRequests; elsewhere as rank 0 said, at least kDrain if this rank
  /// was asked. Any thread.
  Stop stop() const { return stop_; }
  /// Who was asked first, as far as rank 0 knows: "SIGUSR1 on rank 2 on node7".
  const std::string& asked() const { return asked_; }
  /// It was mpirun, which leaves the ranks a second.
  bool is_end() const { return ends_; }

  /// Another rank than 0: tells rank 0 that this one has failed, and gives what is under way a
  /// chance to leave; call it until the job ends.
  void tell_failed(double now_s, Exit code);
  /// Rank 0: who has failed, if any.
  const std::optional<FailedRank>& failed() const { return failed_; }

  /// From now on ranks are named with their stage; -1: none.
  void set_stages(std::vector<int> stage_of_rank) { stages_ = std::move(stage_of_rank); }
  /// Rank 0: who keeps a step from coming back, of the ranks in the pipeline's order.
  std::string blame(int64_t step, const std::vector<int>& pipeline) const;

 private:
  struct Peer {
    int rank = 0;
    double silent_s = 0;
    Activity activity;
  };

  void listen(double now_s);
  void tell(double now_s, const Activity& mine, const SignalsSeen& signals);
  void note_signals(int rank, const SignalsSeen& signals);
  std::optional<std::string> find_silent() const;
  std::string where(const Peer& peer) const;
  std::string doing(const Peer& peer) const;

  WatchSetup setup_;
  WatchLinks links_;
  double interval_s_;
  double last_poll_s_, last_told_s_;
  std::vector<Peer> peers_;  ///< whom this rank listens to
  StopRequests requests_;
  std::atomic<Stop> stop_{Stop::kNo};
  double told_signal_s_ = 0;  ///< last_s of the signals that were told
  Activity told_activity_;
  int32_t failure_ = 0;  ///< this rank's exit code, once it has failed
  std::optional<FailedRank> failed_;
  std::string asked_;
  bool ends_ = false;
  std::vector<int> stages_;
  Activity mine_;
};

}  // namespace llmpq
