#include "commands/plan_cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/table.hpp"
#include "commands/places.hpp"
#include "commands/plan_questions.hpp"
#include "commands/plan_views.hpp"
#include "commands/prepare.hpp"
#include "commands/quality_wish.hpp"
#include "commands/stored_formats.hpp"
#include "commands/strategies.hpp"
#include "kernels/check.hpp"
#include "layer/weights.hpp"
#include "plan/describe.hpp"
#include "plan/explain.hpp"
#include "plan/plan_json.hpp"
#include "profile/cache.hpp"
#include "profile/profile_json.hpp"
#include "profile/roofline.hpp"

namespace llmpq {
namespace {

constexpr int64_t kBlockTokens = 16;

std::string cluster_table(const Cluster& cluster) {
  Table table({"node", "GPUs", "memory each", "GB/s", "TFLOP/s", "link GB/s", "source"});
  for (const ClusterNode& node : cluster.nodes)
    for (size_t begin = 0, end = 0; begin < node.gpus.size(); begin = end) {
      const GpuSpec& gpu = node.gpus[begin];
      while (end < node.gpus.size() && node.gpus[end].name == gpu.name) ++end;
      table.add({node.name, fmt::format("{} x {}", end - begin, gpu.name),
                 bytes_text(usable_bytes(gpu)), fmt::format("{:.0f}", gpu.bandwidth_gbps),
                 fmt::format("{:.0f}", gpu.half_tflops), fmt::format("{:.1f}", node.link.gbps),
                 gpu.source});
    }
  const std::string network = cluster.nodes.size() < 2
                                  ? ""
                                  : fmt::format("between nodes {:.1f} GB/s, {:.0f} us\n",
                                                cluster.network.gbps, cluster.network.latency_us);
  return fmt::format("{}: {}\n{}\n", cluster.name, gpu_counts(cluster), cluster.note) +
         table.text() + network;
}

std::optional<Sensitivity> cluster_sensitivity(const Job& job) {
  if (job.sensitivity.empty()) return std::nullopt;
  CHECK(!job.model.empty(), Exit::kUsage,
        "sensitivity needs --model DIR, the model that it was made of: a cluster file has only a "
        "shape");
  return sensitivity_of(job, *open_model(job));
}

/// "A100-80G (specification), L4 (measured)"
std::string sources(const PlanningData& data) {
  std::string text;
  for (const DeviceProfile& profile : data.profiles)
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", profile.device, profile.source);
  return text;
}

std::string prediction(const Job& job, const PlanRequest& request, const PlanningData& data,
                       const JointPlan& joint) {
  return explain(request, joint.plan, joint.predicted) +
         fmt::format("times: {}\n{}{}\n", sources(data), joint.reason,
                     job.sensitivity.empty() ? "; omega is drawn at random" : "");
}

}  // namespace

PlanRequest cluster_request(const Job& job, const Cluster& cluster, const ModelConfig& config) {
  const int64_t tokens = cluster.workload.prompt_tokens + cluster.workload.output_tokens;
  const int64_t longest = job.max_model_len.value_or(config.max_positions);
  CHECK(tokens <= std::min(longest, config.max_positions), Exit::kUsage,
        "{}: a prompt and its output take {} tokens, the model's context has {}", cluster.name,
        tokens, std::min(longest, config.max_positions));
  PlanRequest request{.model = job.model.empty()
                                   ? cluster.shape
                                   : (job.model / "").parent_path().filename().string(),
                      .config = config,
                      .ranks = {},
                      .device_links = true,
                      .max_model_len = job.max_model_len.value_or(tokens),
                      .kv_type = kv_cache_type(job, config),
                      .kv_block_tokens = kBlockTokens,
                      .workload = {cluster.workload.prompts, tokens},
                      .wishes = plan_wishes(job)};
  for (const ClusterRank& rank : ranks_of(cluster)) {
    int64_t bytes = usable_bytes(rank.gpu);
    if (job.memory_limit) bytes = std::min(bytes, *job.memory_limit);
    request.ranks.push_back({bytes, rank.gpu.name + " on " + cluster.nodes[rank.node].name,
                             BackendKind::kCuda, rank.gpu.compute_capability});
  }
  return request;
}

namespace {

/// The file's profile of that GPU; nothing if it has none. Error(kUsage) if it is another model's.
std::optional<DeviceProfile> profile_in(const ProfileFile& file, const std::string& gpu,
                                        const ModelConfig& config) {
  for (const DeviceProfile& profile : file.devices) {
    if (profile.device != gpu) continue;
    CHECK(profile.shape.empty() || profile.shape == layer_shape(config), Exit::kUsage,
          "profile: {} was measured with layers of another shape ({}) than this model's ({})", gpu,
          profile.shape, layer_shape(config));
    return profile;
  }
  return std::nullopt;
}

}  // namespace

PlanningData cluster_data(const Job& job, const Cluster& cluster, const PlanRequest& request) {
  PlanningData data;
  data.name = cluster.name;
  data.lengths = {{cluster.workload.prompt_tokens,
                   job.expected_output_tokens.value_or(cluster.workload.output_tokens),
                   cluster.workload.prompts}};
  ProfileFile measured;
  if (!job.profile.empty()) measured = load_profile(job.profile);
  std::vector<size_t> nodes;
  for (const ClusterRank& rank : ranks_of(cluster)) {
    nodes.push_back(rank.node);
    const auto at =
        std::find_if(data.profiles.begin(), data.profiles.end(),
                     [&](const DeviceProfile& profile) { return profile.device == rank.gpu.name; });
    data.profile_of.push_back(static_cast<size_t>(at - data.profiles.begin()));
    if (at != data.profiles.end()) continue;
    auto profile = profile_in(measured, rank.gpu.name, request.config);
    data.profiles.push_back(profile ? *profile
                                    : roofline(rank.gpu, request.config, request.kv_type));
  }
  data.link = [cluster, nodes](int from, int to) {
    const size_t a = nodes.at(static_cast<size_t>(from)), b = nodes.at(static_cast<size_t>(to));
    const ClusterLink& link = a == b ? cluster.nodes[a].link : cluster.network;
    return LinkModel{link.latency_us * 1e-6, 1e-9 / link.gbps};
  };
  return data;
}

int run_plan_cluster(const Job& given) {
  set_log_level(given.log_level);
  check_places(given, Command::kPlan);
  const Cluster cluster = load_cluster(given.cluster);
  const ModelConfig config =
      load_model_config(given.model.empty() ? shape_folder(cluster.shape) : given.model);
  const Job job = with_stored_formats(given, config.stored ? &*config.stored : nullptr);
  const PlanRequest request = cluster_request(job, cluster, config);
  if (asks_question(job)) return answer_question(job, request);
  PlanningData data = cluster_data(job, cluster, request);
  add_quality(job, cluster_sensitivity(job), true, config, data);
  if (asks_for_several(job)) return print_several(job, request, data);
  const JointPlan joint = solve_or_fail(job, request, data);
  log_info("{}: {} ways to cut the work for {} GPUs in {} groups", cluster.name,
           joint.problem.batchings.size(), request.ranks.size(), joint.problem.groups.size());
  const JointPlan chosen = made_plan(data, plan_of_strategy(job, request, data, joint));
  const Plan& plan = chosen.plan;
  draw_plan(job, chosen.problem, planned_of(chosen));
  const std::string changes = what_would_change(job, chosen.problem, planned_of(chosen));
  if (!job.save_plan.empty()) write_file_atomically(job.save_plan, to_json(plan), Exit::kOutput);
  const std::string text = job.json ? (changes.empty() ? to_json(plan) : changes)
                                    : cluster_table(cluster) + "\n" + describe(request, plan) +
                                          prediction(job, request, data, chosen) + changes;
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace llmpq
