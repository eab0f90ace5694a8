#include "pipeline/links.hpp"

#include "base/link_mpi.hpp"

namespace llmpq {
namespace {

constexpr int kStepTag = 1, kHiddenTag = 2, kResultTag = 3;
constexpr int64_t kLargestMessage = int64_t{1} << 31;

int rank_of(const PipelinePlan& pipeline, size_t stage) {
  return pipeline.stages.at(stage).ranks.at(0);
}

}  // namespace

void DriverLinks::start(const std::vector<std::byte>& message) {
  for (auto& link : steps) link->start(message);
}

int DriverLinks::finish() {
  int under_way = 0;
  for (auto& link : steps) under_way += link->finish();
  return under_way;
}

StageLinks make_stage_links(const Mpi& mpi, const PipelinePlan& pipeline, size_t stage,
                            bool device_links) {
  StageLinks links;
  const bool last = stage + 1 == pipeline.stages.size();
  links.steps = make_mpi_link_in(mpi, 0, kStepTag, kLargestMessage);
  if (stage > 0 && !device_links)
    links.hidden_in =
        make_mpi_link_in(mpi, rank_of(pipeline, stage - 1), kHiddenTag, kLargestMessage);
  if (!last && !device_links)
    links.hidden_out = make_mpi_link_out(mpi, rank_of(pipeline, stage + 1), kHiddenTag);
  if (last) links.results = make_mpi_link_out(mpi, 0, kResultTag);
  return links;
}

/// Each sender makes the id of its link; its receiver finds it by the sender's rank.
StagePorts make_stage_ports(const Mpi& mpi, const PipelinePlan& pipeline, const size_t* stage,
                            int64_t max_floats, double timeout_s, Backend& backend) {
  const bool sends = stage != nullptr && *stage + 1 < pipeline.stages.size();
  const std::string mine = sends ? backend.new_link_id() : "";
  const std::vector<std::string> ids = mpi.all_gather(mine);
  StagePorts ports;
  if (stage == nullptr) return ports;
  DeviceLinkSetup setup{.id = {}, .side = {}, .max_count = max_floats, .timeout_s = timeout_s};
  if (*stage > 0) {
    setup.id = ids.at(static_cast<size_t>(rank_of(pipeline, *stage - 1)));
    setup.side = LinkSide::kReceiver;
    ports.in = backend.make_link(setup);
  }
  if (sends) {
    setup.id = mine;
    setup.side = LinkSide::kSender;
    ports.out = backend.make_link(setup);
  }
  return ports;
}

DriverLinks make_driver_links(const Mpi& mpi, const PipelinePlan& pipeline) {
  DriverLinks links;
  for (size_t stage = 0; stage < pipeline.stages.size(); ++stage)
    links.steps.push_back(make_mpi_link_out(mpi, rank_of(pipeline, stage), kStepTag));
  links.results = make_mpi_link_in(mpi, rank_of(pipeline, pipeline.stages.size() - 1), kResultTag,
                                   kLargestMessage);
  return links;
}

}  // namespace llmpq
