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

StageLinks make_stage_links(const Mpi& mpi, const PipelinePlan& pipeline, size_t stage) {
  StageLinks links;
  links.steps = make_mpi_link_in(mpi, 0, kStepTag, kLargestMessage);
  if (stage > 0)
    links.hidden_in =
        make_mpi_link_in(mpi, rank_of(pipeline, stage - 1), kHiddenTag, kLargestMessage);
  if (stage + 1 < pipeline.stages.size())
    links.hidden_out = make_mpi_link_out(mpi, rank_of(pipeline, stage + 1), kHiddenTag);
  else
    links.results = make_mpi_link_out(mpi, 0, kResultTag);
  return links;
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
