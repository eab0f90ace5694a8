#include "profile/transfers.hpp"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/mpi_check.hpp"
#include "base/timer.hpp"

namespace llmpq {
namespace {

constexpr int kTag = 7;
constexpr int64_t kProbeBytes = int64_t{1} << 20;
constexpr int64_t kLargestBytes = int64_t{16} << 20;
constexpr double kMessageSeconds = 0.01;  ///< of a large message, or less
constexpr int kSmallRounds = 100, kLargeRounds = 4;
constexpr int64_t kCopyBytes = int64_t{64} << 20;
constexpr int kCopies = 8;

/// Two ranks that send one message to and fro.
class PingPong {
 public:
  PingPong(const Mpi& mpi, int peer)
      : world_(mpi.handle().world),
        peer_(peer),
        first_(mpi.rank() < peer),
        buffer_(kLargestBytes) {}

  /// Seconds of one way, the best of `rounds`; both ranks call it.
  double seconds(int64_t bytes, int rounds) {
    double best = 1e9;
    for (int round = 0; round <= rounds; ++round) {
      const Timer timer;
      if (first_) send(bytes);
      receive(bytes);
      if (!first_) send(bytes);
      if (round > 0) best = std::min(best, timer.seconds());  // the first makes the connection
    }
    return best / 2;
  }

  /// The size whose way takes about kMessageSeconds; told by the first rank.
  int64_t large_size() {
    const double probe_s = seconds(kProbeBytes, 1);
    const double bytes = kMessageSeconds / std::max(probe_s, 1e-9) * kProbeBytes;
    auto size = static_cast<int64_t>(std::clamp(bytes, 65536.0, double{kLargestBytes}));
    if (first_)
      CHECK_MPI(MPI_Send(&size, 1, MPI_INT64_T, peer_, kTag, world_));
    else
      CHECK_MPI(MPI_Recv(&size, 1, MPI_INT64_T, peer_, kTag, world_, MPI_STATUS_IGNORE));
    return size;
  }

 private:
  void send(int64_t bytes) {
    CHECK_MPI(MPI_Send(buffer_.data(), static_cast<int>(bytes), MPI_BYTE, peer_, kTag, world_));
  }
  void receive(int64_t bytes) {
    CHECK_MPI(MPI_Recv(buffer_.data(), static_cast<int>(bytes), MPI_BYTE, peer_, kTag, world_,
                       MPI_STATUS_IGNORE));
  }

  MPI_Comm world_;
  int peer_;
  bool first_;
  std::vector<std::byte> buffer_;
};

RankTransfer measure_pair(const Mpi& mpi, int peer) {
  PingPong pair(mpi, peer);
  RankTransfer transfer{.from = mpi.rank(), .to = peer};
  transfer.latency_us = 1e6 * pair.seconds(1, kSmallRounds);
  const int64_t bytes = pair.large_size();
  transfer.gbps = 1e-9 * static_cast<double>(bytes) / pair.seconds(bytes, kLargeRounds);
  return transfer;
}

double copy_gbps(Context& context, const std::function<void()>& copy) {
  copy();
  context.synchronize();
  const Timer timer;
  for (int i = 0; i < kCopies; ++i) copy();
  context.synchronize();
  return 1e-9 * kCopyBytes * kCopies / timer.seconds();
}

}  // namespace

std::vector<std::pair<int, int>> pairs_to_measure(int ranks) {
  std::vector<std::pair<int, int>> pairs;
  for (int from = 0; from < ranks; ++from)
    for (int to = from + 1; to < ranks; ++to) {
      const bool neighbours = to == from + 1 || (from == 0 && to == ranks - 1);
      if (ranks <= kMostRanksInPairs || neighbours) pairs.emplace_back(from, to);
    }
  return pairs;
}

std::vector<RankTransfer> measure_transfers(const Mpi& mpi) {
  nlohmann::json mine = nlohmann::json::array();
  for (const auto& [from, to] : pairs_to_measure(mpi.size())) {
    mpi.barrier();
    if (mpi.rank() == from) {
      const RankTransfer transfer = measure_pair(mpi, to);
      mine.push_back({from, to, transfer.gbps, transfer.latency_us});
    } else if (mpi.rank() == to) {
      measure_pair(mpi, from);
    }
  }
  std::vector<RankTransfer> all;
  for (const std::string& text : mpi.all_gather(dump_json(mine)))
    for (const auto& row : parse_json(text, "a rank's transfers", Exit::kMpi))
      all.push_back({row.at(0), row.at(1), row.at(2), row.at(3)});
  return all;
}

DeviceTransfer measure_copies(Backend& backend) {
  const auto context = backend.make_context();
  Buffer device = backend.allocate(kCopyBytes), host = backend.allocate_staging(kCopyBytes);
  DeviceTransfer transfer;
  transfer.to_host_gbps = copy_gbps(
      *context, [&] { backend.copy_to_host(*context, host.data(), device.data(), kCopyBytes); });
  transfer.to_device_gbps = copy_gbps(
      *context, [&] { backend.copy_to_device(*context, device.data(), host.data(), kCopyBytes); });
  return transfer;
}

}  // namespace llmpq
