// Cluster descriptions ("llmpq-cluster-1", JSON): machines to plan for that are not here, with a
// model's shape and a workload. `llmpq plan --cluster` reads them; data/clusters/ has some.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "input/gpu_specs.hpp"

namespace llmpq {

/// Of one direction between two GPUs, host memory in between or not.
struct ClusterLink {
  double gbps = 0;  ///< GB/s
  double latency_us = 0;
};

struct ClusterNode {
  std::string name;
  std::vector<GpuSpec> gpus;  ///< one for each GPU
  ClusterLink link;           ///< between two of its GPUs
};

/// Equal prompts and outputs, in tokens.
struct ClusterWorkload {
  int64_t prompts = 0, prompt_tokens = 0, output_tokens = 0;
};

struct Cluster {
  std::string name, note, source;
  std::string shape;  ///< a folder of data/shapes
  ClusterWorkload workload;
  std::vector<ClusterNode> nodes;
  ClusterLink network;  ///< between GPUs of different nodes
};

/// A GPU of the cluster: the rank that it would have, node by node.
struct ClusterRank {
  size_t node = 0;
  GpuSpec gpu;
};
std::vector<ClusterRank> ranks_of(const Cluster& cluster);

/// Error(kUsage) names file and key: an unknown GPU (with the nearest name), sizes and speeds that
/// are not above 0, counts below 1, a missing network between several nodes.
Cluster parse_cluster(std::string_view text, const std::string& name);
/// A path, or the name of a file in data/clusters. Error(kUsage) if there is neither.
Cluster load_cluster(const std::filesystem::path& path);

/// The folder of a shape: data/shapes/NAME. Error(kUsage) lists the shapes that there are.
std::filesystem::path shape_folder(const std::string& name);

/// One line for people: "3 x T4 + 1 x V100-32G".
std::string gpu_counts(const Cluster& cluster);

}  // namespace llmpq
