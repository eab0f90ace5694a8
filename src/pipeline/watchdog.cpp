#include "pipeline/watchdog.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/link_mpi.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr int kPulseTag = 4;
constexpr double kInterval_s = 1;
constexpr double kIntervalsPerTimeout = 5;  ///< a few may come late before a rank is given up
constexpr double kListenEvery_s = 0.05;
/// How much longer each further rank waits for rank 0, so that one of them speaks for all.
constexpr double kStagger_s = 0.2, kMostStagger_s = 2;

/// The message. Ages instead of times: hosts have clocks of their own.
struct Pulse {
  int32_t rank = 0;
  Stop stop = Stop::kNo;  ///< from rank 0
  Activity activity;
  int32_t signal = 0;       ///< 0: none came
  int32_t signal_ends = 0;  ///< SignalsSeen::is_end
  int32_t failure = 0;      ///< the exit code of a rank that has failed
  int32_t padding = 0;
  double first_signal_ago_s = 0, last_signal_ago_s = 0;
};

std::vector<std::byte> pack(const Pulse& pulse) {
  std::vector<std::byte> bytes(sizeof(pulse));
  std::memcpy(bytes.data(), &pulse, sizeof(pulse));
  return bytes;
}

Pulse unpack(const std::vector<std::byte>& bytes) {
  Pulse pulse;
  CHECK(bytes.size() == sizeof(pulse), Exit::kMpi, "a pulse has {} bytes, want {}", bytes.size(),
        sizeof(pulse));
  std::memcpy(&pulse, bytes.data(), sizeof(pulse));
  return pulse;
}

}  // namespace

WatchLinks make_watch_links(const Mpi& mpi) {
  WatchLinks links;
  links.in = make_mpi_link_in(mpi, mpi.rank() == 0 ? kAnyRank : 0, kPulseTag, sizeof(Pulse));
  if (mpi.rank() > 0) links.out.push_back(make_mpi_link_out(mpi, 0, kPulseTag));
  for (int rank = 1; mpi.rank() == 0 && rank < mpi.size(); ++rank)
    links.out.push_back(make_mpi_link_out(mpi, rank, kPulseTag));
  return links;
}

Watchdog::Watchdog(const WatchSetup& setup, WatchLinks links, double now_s)
    : setup_(setup),
      links_(std::move(links)),
      interval_s_(std::min(kInterval_s, setup.timeout_s / kIntervalsPerTimeout)),
      last_poll_s_(now_s),
      last_told_s_(now_s),
      requests_(setup.grace_s) {
  if (setup.rank > 0) peers_.push_back({});
  for (int rank = 1; setup.rank == 0 && rank < std::ssize(setup.hosts); ++rank)
    peers_.push_back({rank, 0, {}});
}

std::optional<std::string> Watchdog::poll(double now_s, const Activity& mine,
                                          const SignalsSeen& signals) {
  const bool asked = signals.last != 0 && signals.last_s > told_signal_s_;
  if (!asked && now_s - last_poll_s_ < kListenEvery_s) return std::nullopt;
  mine_ = mine;
  // More than a pulse's time between two polls: it was this rank that slept.
  const double awake_s = std::min(now_s - last_poll_s_, interval_s_);
  last_poll_s_ = now_s;
  for (Peer& peer : peers_) peer.silent_s += awake_s;
  if (asked) note_signals(setup_.rank, signals);
  listen(now_s);
  const Stop before = stop_;
  if (setup_.rank == 0) stop_ = requests_.at(now_s);
  const bool is_news =
      asked || stop_ != before || (mine.steps_done < 0) != (told_activity_.steps_done < 0);
  if (is_news || now_s - last_told_s_ >= interval_s_) tell(now_s, mine, signals);
  for (auto& link : links_.out) link->finish();
  return find_silent();
}

void Watchdog::listen(double now_s) {
  links_.in->post();
  while (auto message = links_.in->take()) {
    const Pulse pulse = unpack(*message);
    const auto peer = std::ranges::find(peers_, pulse.rank, &Peer::rank);
    CHECK(peer != peers_.end(), Exit::kMpi, "a pulse came from rank {}", pulse.rank);
    peer->silent_s = 0;
    peer->activity = pulse.activity;
    if (pulse.failure != 0 && !failed_)
      failed_ = FailedRank{pulse.rank, static_cast<Exit>(pulse.failure)};
    if (setup_.rank > 0)
      stop_ = std::max<Stop>(stop_, pulse.stop);
    else if (pulse.signal != 0)
      note_signals(pulse.rank, {pulse.signal, now_s - pulse.first_signal_ago_s,
                                now_s - pulse.last_signal_ago_s, pulse.signal_ends != 0});
  }
}

void Watchdog::tell_failed(double now_s, Exit code) {
  const bool is_news = failure_ == 0;
  failure_ = static_cast<int32_t>(code);
  if (is_news) tell(now_s, mine_, {});
  for (auto& link : links_.out) link->finish();
}

void Watchdog::note_signals(int rank, const SignalsSeen& signals) {
  requests_.add(signals.first_s, signals.last_s);
  if (asked_.empty())
    asked_ = fmt::format("{} on rank {} on {}", signal_name(signals.last), rank,
                         setup_.hosts.at(static_cast<size_t>(rank)));
  ends_ |= signals.is_end;
  if (rank == setup_.rank && rank > 0) stop_ = std::max<Stop>(stop_, Stop::kDrain);
}

void Watchdog::tell(double now_s, const Activity& mine, const SignalsSeen& signals) {
  const Pulse pulse{.rank = setup_.rank,
                    .stop = stop_,
                    .activity = mine,
                    .signal = signals.last,
                    .signal_ends = signals.is_end,
                    .failure = failure_,
                    .first_signal_ago_s = now_s - signals.first_s,
                    .last_signal_ago_s = now_s - signals.last_s};
  for (auto& link : links_.out) link->start(pack(pulse));
  told_signal_s_ = signals.last_s;
  told_activity_ = mine;
  last_told_s_ = now_s;
}

std::optional<std::string> Watchdog::find_silent() const {
  const double stagger_s = std::clamp((setup_.rank - 1) * kStagger_s, 0.0, kMostStagger_s);
  for (const Peer& peer : peers_)
    if (peer.silent_s > setup_.timeout_s + stagger_s)
      return fmt::format(
          "rank {} on {}, {}: no sign of life for {:.0f} s (--timeout): the process is stopped, or "
          "the link to it is lost",
          peer.rank, setup_.hosts.at(static_cast<size_t>(peer.rank)), where(peer), peer.silent_s);
  return std::nullopt;
}

std::string Watchdog::where(const Peer& peer) const {
  if (stages_.empty()) return "before the plan was made";
  const int stage = stages_.at(static_cast<size_t>(peer.rank));
  if (stage < 0) return "which has no stage";
  if (peer.activity.steps_done < 0) return fmt::format("stage {}, not loaded yet", stage);
  return fmt::format("stage {}, step {}", stage, peer.activity.steps_done);
}

std::string Watchdog::blame(int64_t step, const std::vector<int>& pipeline) const {
  for (const int rank : pipeline) {
    const auto peer = std::ranges::find(peers_, rank, &Peer::rank);
    const Peer who = peer == peers_.end() ? Peer{rank, 0, mine_} : *peer;
    if (who.activity.steps_done <= step)
      return fmt::format("rank {} on {}, {}, {}", rank, setup_.hosts.at(static_cast<size_t>(rank)),
                         where(who), doing(who));
  }
  return "all stages have computed it";
}

std::string Watchdog::doing(const Peer& peer) const {
  if (peer.silent_s > 2 * interval_s_)
    return fmt::format("has given no sign of life for {:.0f} s", peer.silent_s);
  if (peer.activity.computing_s < 0) return "waits for its input";
  return fmt::format("has computed for {:.0f} s", peer.activity.computing_s);
}

}  // namespace llmpq
