// `llmpq plan --cluster`: plans for machines that are only described, without MPI and GPUs.
#pragma once

#include "input/cluster.hpp"
#include "input/job.hpp"
#include "plan/make_problem.hpp"

namespace llmpq {

/// Loads the cluster and its model's shape, makes the problem (and saves it where the job says so),
/// solves it, prints cluster and plan. Error(kNoPlan): proven that nothing fits, or nothing found
/// in time.
int run_plan_cluster(const Job& job);

// Its steps.

/// One rank for each GPU of the cluster. The reference in it is to `config`.
PlanRequest cluster_request(const Job& job, const Cluster& cluster, const ModelConfig& config);
/// Roofline profiles, links and work of the cluster.
PlanningData cluster_data(const Job& job, const Cluster& cluster, const PlanRequest& request);

}  // namespace llmpq
