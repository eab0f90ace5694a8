// Rank 0's part of a run whose rows are not kept: of bench, and of eval's tasks. (drive.hpp is
// generate's, with journal and progress.)
#pragma once

#include <cstdint>
#include <vector>

#include "commands/share.hpp"
#include "pipeline/driver.hpp"

namespace llmpq {

struct RequestRun {
  const Job& job;
  const Plan& plan;
  RequestSource& feed;
  RowSink& sink;
  const Tokenizer* tokenizer = nullptr;     ///< may be null, see Driver
  std::vector<int32_t> eos_token_ids = {};  ///< that end an output, if not ignored
  Timeline* timeline = nullptr;             ///< may be null
};

/// Returns when all rows are with the sink. Collective: the other ranks call run_share().
DriverCounts drive_requests(const Mpi& mpi, Share& share, const RequestRun& run);

}  // namespace llmpq
