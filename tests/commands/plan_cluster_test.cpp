#include "commands/plan_cluster.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/expect_error.hpp"
#include "base/file.hpp"
#include "base/temp_folder.hpp"
#include "base/timer.hpp"
#include "commands/quality_wish.hpp"
#include "input/data_folder.hpp"
#include "plan/optimize.hpp"
#include "plan/plan_json.hpp"
#include "plan/problem_json.hpp"

namespace llmpq {
namespace {

const int kNamed = setenv("LLMPQ_DATA", LLMPQ_DATA, 1);
const std::filesystem::path kData = LLMPQ_DATA;

struct Case {
  Job job;
  Cluster cluster;
  ModelConfig config;
  explicit Case(const std::string& name)
      : cluster(load_cluster(name)), config(load_model_config(shape_folder(cluster.shape))) {}
};

TEST(PlanCluster, ARankForEachGpu) {
  const Case paper("paper-05");
  const PlanRequest request = cluster_request(paper.job, paper.cluster, paper.config);
  ASSERT_EQ(request.ranks.size(), 6u);
  EXPECT_EQ(request.ranks[0].device, "T4 on t");
  EXPECT_EQ(request.ranks[5].device, "V100-32G on v");
  EXPECT_EQ(request.ranks[5].backend, BackendKind::kCuda);
  EXPECT_EQ(request.ranks[5].memory_bytes, usable_bytes(*find_gpu("V100-32G")));
  EXPECT_EQ(request.max_model_len, 612);
  EXPECT_EQ(request.kv_type, DType::kF16);
  const PlanningData data = cluster_data(paper.job, paper.cluster, request);
  EXPECT_EQ(data.profile_of, (std::vector<size_t>{0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(data.profiles[1].source, "specification");
  EXPECT_DOUBLE_EQ(data.link(0, 1).s_per_byte, 1 / (15.8 * 1e9));
  EXPECT_DOUBLE_EQ(data.link(1, 4).s_per_byte, 1 / (12.5 * 1e9));
  EXPECT_DOUBLE_EQ(data.link(1, 4).latency_s, 20e-6);
}

TEST(PlanCluster, MeasuredTimesGoBeforeSheets) {
  Case paper("paper-04");
  paper.job.profile = kData / "profiles" / "v100-opt-30b.json";
  const PlanRequest request = cluster_request(paper.job, paper.cluster, paper.config);
  const PlanningData data = cluster_data(paper.job, paper.cluster, request);
  ASSERT_EQ(data.profiles.size(), 2u);
  EXPECT_EQ(data.profiles[0].source, "specification");
  EXPECT_EQ(data.profiles[1].source, "measured");
  TempFolder folder;
  std::string text = read_file(paper.job.profile, 1 << 20, Exit::kUsage);
  text.replace(text.find("\"shape\": \"\""), 11, "\"shape\": \"other\"");
  paper.job.profile = folder.path() / "other.json";
  write_file_atomically(paper.job.profile, text, Exit::kOutput);
  EXPECT_ERROR(cluster_data(paper.job, paper.cluster, request), Exit::kUsage,
               "V100-32G was measured with layers of another shape (other)");
}

/// Problems of all files of data/clusters: valid (make_problem checks), with equal GPUs in one
/// group, and the same again after a way through a file.
TEST(PlanCluster, EveryClusterBecomesAProblem) {
  for (const std::string& name : data_names("clusters")) {
    const Case each(name);
    const PlanRequest request = cluster_request(each.job, each.cluster, each.config);
    const Problem problem =
        make_problem(request, cluster_data(each.job, each.cluster, request)).problem;
    EXPECT_EQ(problem.name, name);
    EXPECT_EQ(problem.groups.size(), each.cluster.nodes.size()) << name;
    size_t ranks = 0;
    for (const ProblemGroup& group : problem.groups) ranks += group.ranks.size();
    EXPECT_EQ(ranks, ranks_of(each.cluster).size()) << name;
    EXPECT_LT(problem.batchings.size(), 5000u) << name;
    const std::string text = to_json(problem);
    EXPECT_EQ(to_json(parse_problem(text, name)), text) << name;
  }
}

/// Where layers differ in nothing but their bits, a bound on the bits is closed: by prices alone
/// gaps of 4 and 8 % were left here.
TEST(PlanCluster, AverageBitsAreProvenToTheGapAskedFor) {
  for (const auto& [name, bits] : {std::pair("paper-05", 12.0), std::pair("paper-06", 8.0)}) {
    Case each(name);
    each.job.average_bits = bits;
    const PlanRequest request = cluster_request(each.job, each.cluster, each.config);
    PlanningData data = cluster_data(each.job, each.cluster, request);
    add_quality(each.job, std::nullopt, true, each.config, data);
    const Optimum optimum =
        optimize(make_problem(request, data).problem, {0.005, 60, steady_seconds});
    ASSERT_EQ(optimum.status, OptimizeStatus::kFound) << name;
    EXPECT_LE(optimum.gap(), 0.0051) << name;
    EXPECT_LE(optimum.score.omega, *data.max_omega) << name;
  }
}

TEST(PlanCluster, PlansAndSaves) {
  TempFolder folder;
  Job job;
  job.cluster = "paper-03";
  job.json = true;
  job.save_problem = folder.path() / "problem.json";
  job.save_plan = folder.path() / "plan.json";
  job.log_level = LogLevel::kError;
  testing::internal::CaptureStdout();
  EXPECT_EQ(run_plan_cluster(job), 0);
  const std::string printed = testing::internal::GetCapturedStdout();
  EXPECT_EQ(printed, read_file(job.save_plan, 1 << 20, Exit::kUsage));
  const Plan plan = parse_plan(printed, "printed");
  EXPECT_EQ(plan.model, "opt-30b");
  EXPECT_EQ(plan.layers, 48);
  EXPECT_GT(plan.kv_blocks, 0);
  EXPECT_TRUE(plan.pipelines[0].stages[0].prefill_s);
  const std::string problem = read_file(job.save_problem, 64 << 20, Exit::kUsage);
  EXPECT_EQ(parse_problem(problem, "p").layers, 48);
}

TEST(PlanCluster, WhatCannotBeIsTold) {
  Job job;
  job.log_level = LogLevel::kError;
  job.cluster = "paper-01";
  job.memory_limit = int64_t{2} << 30;
  EXPECT_ERROR(run_plan_cluster(job), Exit::kNoPlan,
               "does not fit on these devices with f16, w8, w4, w3; that is proven");
  job.format = {Format::kW3};
  EXPECT_ERROR(run_plan_cluster(job), Exit::kNoPlan, "in the formats asked for");
  job.max_model_len = 600;
  EXPECT_ERROR(run_plan_cluster(job), Exit::kUsage, "take 612 tokens, the model's context has 600");
  job.cluster = "paper-1";
  EXPECT_ERROR(run_plan_cluster(job), Exit::kUsage, "no cluster of that name");
}

}  // namespace
}  // namespace llmpq
