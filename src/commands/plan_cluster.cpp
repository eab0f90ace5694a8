#include "commands/plan_cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/table.hpp"
#include "commands/prepare.hpp"
#include "kernels/check.hpp"
#include "layer/weights.hpp"
#include "plan/assigned_plan.hpp"
#include "plan/describe.hpp"
#include "plan/optimize.hpp"
#include "plan/plan_json.hpp"
#include "plan/problem_json.hpp"
#include "profile/cache.hpp"
#include "profile/profile_json.hpp"
#include "profile/roofline.hpp"

namespace llmpq {
namespace {

constexpr int64_t kBlockTokens = 16;

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

DType kv_type_of(const Job& job, const ModelConfig& config) {
  return job.kv_cache_dtype.value_or(format_16bit(config) == Format::kF16 ? DType::kF16
                                                                          : DType::kBf16);
}

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

struct Solved {
  Optimum optimum;
  std::string why;  ///< which formats, for the reader
};

/// What optimize() makes of the problem; nothing if it is proven that nothing fits.
std::optional<Optimum> solved(const Problem& problem) {
  Optimum optimum = optimize(problem, {.now_s = now_s});
  CHECK(optimum.status != OptimizeStatus::kNothingFound, Exit::kNoPlan,
        "{}: no plan was found within {:.1f} s; there may be one", problem.name, optimum.solve_s);
  if (optimum.status == OptimizeStatus::kInfeasible) return std::nullopt;
  return optimum;
}

/// Nobody asked for fewer bits, and the indicator is drawn at random: the highest bits that fit for
/// all layers. `--format` leaves nothing to choose.
Solved solve_by_quality(const Problem& problem) {
  std::string too_large;
  for (size_t f = 0; f < problem.formats.size(); ++f) {
    const std::string& name = problem.formats[f];
    if (auto optimum = solved(with_only_format(problem, f)))
      return {*optimum, fmt::format("{} for all layers{}", name,
                                    too_large.empty() ? "" : ": " + too_large + " does not fit")};
    too_large = too_large.empty() ? name : too_large + ", " + name;
  }
  fail(Exit::kNoPlan, "{}: the model does not fit on these GPUs with {}; that is proven",
       problem.name, too_large);
}

Solved solve_made(const Job& job, const Problem& problem) {
  if (job.format.empty()) return solve_by_quality(problem);
  const auto optimum = solved(problem);
  CHECK(optimum, Exit::kNoPlan, "{}: the model does not fit on these GPUs in the formats asked for",
        problem.name);
  return {*optimum, "formats as asked"};
}

/// "A100-80G (specification), L4 (measured)"
std::string sources(const PlanningData& data) {
  std::string text;
  for (const DeviceProfile& profile : data.profiles)
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", profile.device, profile.source);
  return text;
}

std::string prediction(const ClusterWorkload& work, const PlanningData& data,
                       const Solved& solved) {
  const Optimum& optimum = solved.optimum;
  const double seconds = optimum.score.time_s;
  const auto tokens = static_cast<double>(work.prompts * work.output_tokens);
  return fmt::format(
      "{} prompts of {} tokens, {} tokens out each: {:.4g} s, {:.4g} tokens/s by formula\n"
      "times: {}\n{}; omega {:.4g} by the random indicator; gap {:.2f} %, solved in {:.0f} ms\n",
      work.prompts, work.prompt_tokens, work.output_tokens, seconds, tokens / seconds,
      sources(data), solved.why, optimum.score.omega, 100 * optimum.gap(), 1000 * optimum.solve_s);
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
                      .kv_type = kv_type_of(job, config),
                      .kv_block_tokens = kBlockTokens,
                      .workload = {cluster.workload.prompts, tokens},
                      .wishes = plan_wishes(job)};
  for (const ClusterRank& rank : ranks_of(cluster)) {
    int64_t bytes = usable_bytes(rank.gpu);
    if (job.memory_limit) bytes = std::min(bytes, *job.memory_limit);
    request.ranks.push_back(
        {bytes, rank.gpu.name + " on " + cluster.nodes[rank.node].name, BackendKind::kCuda});
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

int run_plan_cluster(const Job& job) {
  set_log_level(job.log_level);
  const Cluster cluster = load_cluster(job.cluster);
  const ModelConfig config =
      load_model_config(job.model.empty() ? shape_folder(cluster.shape) : job.model);
  const PlanRequest request = cluster_request(job, cluster, config);
  const PlanningData data = cluster_data(job, cluster, request);
  const MadeProblem made = make_problem(request, data);
  if (!job.save_problem.empty())
    write_file_atomically(job.save_problem, to_json(made.problem), Exit::kOutput);
  log_info("{}: {} ways to cut the work for {} GPUs in {} groups", cluster.name,
           made.problem.batchings.size(), request.ranks.size(), made.problem.groups.size());
  const Solved solved = solve_made(job, made.problem);
  const Plan plan = assigned_plan(request, made, solved.optimum.assignment, solved.optimum.score);
  if (!job.save_plan.empty()) write_file_atomically(job.save_plan, to_json(plan), Exit::kOutput);
  const std::string text = job.json ? to_json(plan)
                                    : cluster_table(cluster) + "\n" + describe(request, plan) +
                                          prediction(cluster.workload, data, solved);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace llmpq
