// Who talks to whom: control from rank 0 to every stage, activations from neighbour to neighbour,
// tokens from the last stage to rank 0.
#pragma once

#include <memory>
#include <vector>

#include "base/link.hpp"
#include "base/mpi.hpp"
#include "plan/plan.hpp"
#include "stage/stage.hpp"

namespace llmpq {

/// The ends that one rank's stage holds. An empty control message ends the stage's work.
struct StageLinks {
  std::unique_ptr<LinkIn> steps;
  std::unique_ptr<LinkIn> hidden_in;    ///< none on the first stage, or with device links
  std::unique_ptr<LinkOut> hidden_out;  ///< none on the last stage, or with device links
  std::unique_ptr<LinkOut> results;     ///< the last stage's only
};

/// The ends that rank 0 holds besides.
struct DriverLinks {
  std::vector<std::unique_ptr<LinkOut>> steps;  ///< [stages]
  std::unique_ptr<LinkIn> results;

  /// Begins sending a control message to every stage.
  void start(const std::vector<std::byte>& message);
  /// Frees what has been sent; returns how many control messages are still under way.
  int finish();
};

/// `device_links`: activations go from device to device (make_stage_ports), not over MPI.
StageLinks make_stage_links(const Mpi& mpi, const PipelinePlan& pipeline, size_t stage,
                            bool device_links);
/// The device links of this rank's stage; none on a rank without one (`stage` null), which takes
/// part all the same. Waits for the neighbours. Collective. Error(kMpi) after `timeout_s`.
StagePorts make_stage_ports(const Mpi& mpi, const PipelinePlan& pipeline, const size_t* stage,
                            int64_t max_floats, double timeout_s, Backend& backend);
DriverLinks make_driver_links(const Mpi& mpi, const PipelinePlan& pipeline);

}  // namespace llmpq
