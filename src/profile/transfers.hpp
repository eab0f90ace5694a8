// How fast bytes move: between ranks over MPI, and between a GPU and its rank's host memory.
#pragma once

#include <vector>

#include "base/mpi.hpp"
#include "kernels/backend.hpp"

namespace llmpq {

/// Between two ranks, host memory to host memory, one way at a time.
struct RankTransfer {
  int from = 0, to = 0;  ///< from < to; the way back counts too
  double gbps = 0;       ///< GB/s of large messages
  double latency_us = 0;
};

/// The pairs that measure_transfers() takes: all of them, or only neighbours and the ring's closing
/// pair where there are more than kMostRanksInPairs.
inline constexpr int kMostRanksInPairs = 12;
std::vector<std::pair<int, int>> pairs_to_measure(int ranks);

/// Collective; one pair at a time, some 20 to 100 ms each. The result is on every rank.
std::vector<RankTransfer> measure_transfers(const Mpi& mpi);

/// Between a GPU's memory and staging memory of its rank, in GB/s.
struct DeviceTransfer {
  double to_host_gbps = 0, to_device_gbps = 0;
};
DeviceTransfer measure_copies(Backend& backend);

}  // namespace llmpq
