// A small model on three GPUs of two kinds: what the tests of strategies plan for.
#pragma once

#include <cstdlib>

#include "base/timer.hpp"
#include "input/gpu_specs.hpp"
#include "plan/joint.hpp"
#include "plan_fixture.hpp"
#include "profile/roofline.hpp"

namespace llmpq {

/// Two A100 and a V100 with so much memory each; a job of 500 prompts.
struct Gpus {
  PlanCase job;
  PlanRequest request;
  PlanningData data;

  explicit Gpus(int64_t kib) : request(job.request({kib, kib, kib})) {
    setenv("LLMPQ_DATA", LLMPQ_DATA, 1);
    for (RankMemory& rank : request.ranks) rank.backend = BackendKind::kCuda;
    data.name = "three";
    data.profiles = {roofline(*find_gpu("A100-80G"), job.config, request.kv_type),
                     roofline(*find_gpu("V100-32G"), job.config, request.kv_type)};
    data.profile_of = {0, 0, 1};
    data.link = [](int, int) { return LinkModel{1e-5, 1e-10}; };
    data.lengths = {{100, 21, 500, 0}};
    request.workload = {500, 121};
  }
  std::optional<JointPlan> plan(double gap = 0.005) const {
    return plan_jointly(request, data, {gap, 10, steady_seconds});
  }
};

inline bool all_are(const Plan& plan, Format format) {
  const auto formats = layer_formats(plan);
  return std::all_of(formats.begin(), formats.end(), [&](Format f) { return f == format; });
}

constexpr int64_t kPlenty = 1 << 20;
/// Less than the 12 MiB of the layers in 16 bit and what stands beside them.
constexpr int64_t kShort = 5 << 10;

}  // namespace llmpq
