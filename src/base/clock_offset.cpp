#include "base/clock_offset.hpp"

#include <algorithm>
#include <limits>

#include "base/mpi_check.hpp"
#include "base/timer.hpp"

namespace llmpq {
namespace {

constexpr int kQuestions = 64;
constexpr int kTag = 8;

void send(MPI_Comm world, int peer, double value) {
  CHECK_MPI(MPI_Send(&value, 1, MPI_DOUBLE, peer, kTag, world));
}

double receive(MPI_Comm world, int peer) {
  double value = 0;
  CHECK_MPI(MPI_Recv(&value, 1, MPI_DOUBLE, peer, kTag, world, MPI_STATUS_IGNORE));
  return value;
}

void answer(MPI_Comm world, int peer) {
  for (int i = 0; i < kQuestions; ++i) {
    receive(world, peer);
    send(world, peer, steady_seconds());
  }
}

ClockOffset ask(MPI_Comm world) {
  ClockOffset best{0, std::numeric_limits<double>::infinity()};
  for (int i = 0; i < kQuestions; ++i) {
    const double sent_s = steady_seconds();
    send(world, 0, 0);
    const double theirs_s = receive(world, 0);
    const double back_s = steady_seconds();
    const double half_s = (back_s - sent_s) / 2;
    if (half_s < best.error_s) best = {sent_s + half_s - theirs_s, half_s};
  }
  return best;
}

}  // namespace

ClockOffset asked_clock_offset(const Mpi& mpi) {
  MPI_Comm const world = mpi.handle().world;
  ClockOffset mine;
  for (int rank = 1; rank < mpi.size(); ++rank) {
    mpi.barrier();  // one at a time: nobody waits for rank 0 while it answers another
    if (mpi.rank() == 0) answer(world, rank);
    if (mpi.rank() == rank) mine = ask(world);
  }
  return mine;
}

ClockOffset clock_offset(const Mpi& mpi) {
  const auto hosts = mpi.all_gather(mpi.host());
  const bool one_host = std::all_of(hosts.begin(), hosts.end(),
                                    [&](const std::string& host) { return host == hosts[0]; });
  if (one_host) return {};
  const ClockOffset asked = asked_clock_offset(mpi);
  return mpi.host() == hosts[0] ? ClockOffset{} : asked;
}

}  // namespace llmpq
