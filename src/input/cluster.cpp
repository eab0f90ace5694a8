#include "input/cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/json.hpp"
#include "input/data_folder.hpp"
#include "input/job.hpp"
#include "input/json_fields.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr std::string_view kFileFormat = "llmpq-cluster-1";
constexpr int64_t kLargestFile = 1 << 20;
constexpr int64_t kMostGpus = 4096, kMostNodes = 4096;
constexpr int64_t kMostPrompts = 1'000'000'000, kMostTokens = 1 << 24;
/// Two GPUs of a node: a message over NVLink, or through host memory.
constexpr double kNvlinkLatencyUs = 8, kPcieLatencyUs = 15;

/// GPUs that only this file knows, by name.
using OwnSpecs = std::map<std::string, GpuSpec>;

GpuSpec read_spec(const JsonFields& fields, const std::string& name) {
  fields.allow({"compute_capability", "memory_gb", "bandwidth_gb_per_s", "half_tflops",
                "fp32_tflops", "int8_tops", "nvlink_gb_per_s", "pcie_gb_per_s", "source"});
  GpuSpec spec;
  spec.name = name;
  spec.compute_capability = static_cast<int>(fields.integer("compute_capability", 60, 999));
  spec.memory_gib = fields.positive("memory_gb");
  spec.bandwidth_gbps = fields.positive("bandwidth_gb_per_s");
  spec.half_tflops = fields.positive("half_tflops");
  spec.fp32_tflops = fields.positive("fp32_tflops");
  spec.int8_tops = fields.not_negative_or("int8_tops", 0);
  spec.nvlink_gbps = fields.not_negative_or("nvlink_gb_per_s", 0);
  spec.pcie_gbps = fields.positive("pcie_gb_per_s");
  spec.source = fields.text_or("source", "the cluster file");
  return spec;
}

OwnSpecs read_own_specs(const JsonFields& file) {
  OwnSpecs specs;
  if (!file.has("gpu_specs")) return specs;
  const JsonFields list = file.object("gpu_specs");
  for (const std::string& name : list.keys()) specs[name] = read_spec(list.object(name), name);
  return specs;
}

/// One entry of a node: some GPUs of one kind.
void read_gpus(const JsonFields& fields, const OwnSpecs& own, ClusterNode& node) {
  fields.allow({"gpu", "count", "memory_gb"});
  const std::string name = fields.text("gpu");
  const auto mine = own.find(name);
  const GpuSpec* known = mine != own.end() ? &mine->second : find_gpu(name);
  CHECK(known, Exit::kUsage, "{}gpu: no GPU is called \"{}\": {}, or describe it under gpu_specs",
        fields.where(), name.substr(0, 60), did_you_mean_gpu(name));
  GpuSpec spec = *known;
  if (fields.has("memory_gb")) spec.memory_gib = fields.positive("memory_gb");
  CHECK(usable_bytes(spec) > 0, Exit::kUsage,
        "{}memory_gb: {} GB of {} leave nothing for a model, once the driver has its part",
        fields.where(), spec.memory_gib, spec.name);
  const int64_t count = fields.integer_or("count", 1, kMostGpus, 1);
  node.gpus.insert(node.gpus.end(), static_cast<size_t>(count), spec);
}

ClusterLink read_link(const JsonFields& fields, const ClusterLink& otherwise) {
  return {fields.has("gb_per_s") ? fields.positive("gb_per_s") : otherwise.gbps,
          fields.not_negative_or("latency_us", otherwise.latency_us)};
}

/// What the sheets say: NVLink where all of a node's GPUs are alike and have it, else PCIe.
ClusterLink usual_link(const std::vector<GpuSpec>& gpus) {
  const GpuSpec& first = gpus.front();
  const bool alike = std::all_of(gpus.begin(), gpus.end(),
                                 [&](const GpuSpec& gpu) { return gpu.name == first.name; });
  if (alike && first.nvlink_gbps > 0) return {first.nvlink_gbps, kNvlinkLatencyUs};
  double gbps = first.pcie_gbps;
  for (const GpuSpec& gpu : gpus) gbps = std::min(gbps, gpu.pcie_gbps);
  return {gbps, kPcieLatencyUs};
}

/// `count` nodes alike.
void read_nodes(const JsonFields& fields, const OwnSpecs& own, Cluster& cluster) {
  fields.allow({"name", "count", "gpus", "link"});
  ClusterNode node;
  node.name = fields.text("name");
  for (const JsonFields& gpus : fields.objects("gpus")) read_gpus(gpus, own, node);
  CHECK(!node.gpus.empty(), Exit::kUsage, "{}gpus: want at least one GPU", fields.where());
  node.link = usual_link(node.gpus);
  if (fields.has("link")) {
    const JsonFields link = fields.object("link");
    link.allow({"gb_per_s", "latency_us"});
    node.link = read_link(link, node.link);
  }
  const int64_t count = fields.integer_or("count", 1, kMostNodes, 1);
  for (int64_t i = 0; i < count; ++i) {
    cluster.nodes.push_back(node);
    if (count > 1) cluster.nodes.back().name += std::to_string(i);
  }
}

void read_network(const JsonFields& file, Cluster& cluster) {
  CHECK(cluster.nodes.size() == 1 || file.has("network"), Exit::kUsage,
        "{}network is missing, want the link between its {} nodes: {{\"gb_per_s\": 12.5, "
        "\"latency_us\": 20}}",
        file.where(), cluster.nodes.size());
  if (!file.has("network")) return;
  const JsonFields network = file.object("network");
  network.allow({"gb_per_s", "latency_us"});
  cluster.network = {network.positive("gb_per_s"), network.not_negative("latency_us")};
}

}  // namespace

std::vector<ClusterRank> ranks_of(const Cluster& cluster) {
  std::vector<ClusterRank> ranks;
  for (size_t node = 0; node < cluster.nodes.size(); ++node)
    for (const GpuSpec& gpu : cluster.nodes[node].gpus) ranks.push_back({node, gpu});
  return ranks;
}

Cluster parse_cluster(std::string_view text, const std::string& name) {
  const nlohmann::json json = parse_json_unique(text, name, Exit::kUsage);
  const JsonFields file(json, name);
  file.check_format(kFileFormat);
  file.allow(
      {"format", "name", "note", "source", "shape", "workload", "nodes", "network", "gpu_specs"});
  Cluster cluster;
  cluster.name = file.text("name");
  cluster.note = file.text_or("note", "");
  cluster.source = file.text_or("source", "");
  cluster.shape = file.text("shape");
  const JsonFields workload = file.object("workload");
  workload.allow({"prompts", "prompt_tokens", "output_tokens"});
  cluster.workload = {workload.integer("prompts", 1, kMostPrompts),
                      workload.integer("prompt_tokens", 1, kMostTokens),
                      workload.integer("output_tokens", 1, kMostTokens)};
  const OwnSpecs own = read_own_specs(file);
  for (const JsonFields& nodes : file.objects("nodes")) read_nodes(nodes, own, cluster);
  CHECK(!cluster.nodes.empty(), Exit::kUsage, "{}nodes: want at least one node", file.where());
  const size_t gpus = ranks_of(cluster).size();
  CHECK(gpus <= static_cast<size_t>(kMostGpus), Exit::kUsage,
        "{}nodes: want at most {} GPUs in "
        "all, found {}",
        file.where(), kMostGpus, gpus);
  read_network(file, cluster);
  return cluster;
}

Cluster load_cluster(const std::filesystem::path& path) {
  std::filesystem::path file = path;
  if (!is_there(file, Exit::kUsage)) {
    // --cluster paper-03: the name is taken for a path in the working directory at first.
    const auto folder = find_data_folder("clusters");
    if (folder) file = *folder / (path.stem().string() + ".json");
    if (!folder || !is_there(file, Exit::kUsage)) {
      const auto names = data_names("clusters");
      const std::string near = nearest_name(path.stem().string(), names);
      fail(Exit::kUsage, "{}: there is no such file, and no cluster of that name{}", path.string(),
           near.empty() ? (names.empty() ? "; LLMPQ_DATA may name the folder that has clusters/"
                                         : fmt::format("; there are {}", fmt::join(names, ", ")))
                        : fmt::format("; did you mean {}?", near));
    }
  }
  return parse_cluster(read_file(file, kLargestFile, Exit::kUsage), file.string());
}

std::filesystem::path shape_folder(const std::string& name) {
  const auto names = data_names("shapes");
  CHECK(std::find(names.begin(), names.end(), name) != names.end(), Exit::kUsage,
        "no shape is called \"{}\"; {}", name,
        names.empty() ? "LLMPQ_DATA may name the folder that has shapes/, and --model a folder"
                      : fmt::format("there are {}, and --model names any folder with a config.json",
                                    fmt::join(names, ", ")));
  return *find_data_folder("shapes") / name;
}

std::string gpu_counts(const Cluster& cluster) {
  std::vector<std::pair<std::string, int>> counts;
  for (const ClusterRank& rank : ranks_of(cluster)) {
    const auto at = std::find_if(counts.begin(), counts.end(),
                                 [&](const auto& kind) { return kind.first == rank.gpu.name; });
    if (at == counts.end())
      counts.emplace_back(rank.gpu.name, 1);
    else
      ++at->second;
  }
  std::string text;
  for (const auto& [gpu, count] : counts)
    text += fmt::format("{}{} x {}", text.empty() ? "" : " + ", count, gpu);
  return text;
}

}  // namespace llmpq
