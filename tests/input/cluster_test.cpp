#include "input/cluster.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/expect_error.hpp"
#include "input/data_folder.hpp"
#include "input/model_config.hpp"

namespace llmpq {
namespace {

/// The build folder may be anywhere: the test says where the data are.
const int kNamed = setenv("LLMPQ_DATA", LLMPQ_DATA, 1);

const std::string kGood = R"({
  "format": "llmpq-cluster-1", "name": "two", "note": "n", "source": "s", "shape": "opt-13b",
  "workload": {"prompts": 32, "prompt_tokens": 512, "output_tokens": 100},
  "nodes": [
    {"name": "a", "gpus": [{"gpu": "T4", "count": 3}]},
    {"name": "b", "count": 2, "gpus": [{"gpu": "mine"}, {"gpu": "V100-32G", "memory_gb": 30}],
     "link": {"gb_per_s": 11, "latency_us": 9}}],
  "network": {"gb_per_s": 12.5, "latency_us": 20},
  "gpu_specs": {"mine": {"compute_capability": 90, "memory_gb": 20, "bandwidth_gb_per_s": 1000,
                         "half_tflops": 200, "fp32_tflops": 50, "pcie_gb_per_s": 60}}
})";

std::string changed(const std::string& from, const std::string& to) {
  std::string text = kGood;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

#define EXPECT_REFUSED(from, to, part) \
  EXPECT_ERROR(parse_cluster(changed(from, to), "c.json"), Exit::kUsage, part)

TEST(Cluster, IsRead) {
  const Cluster cluster = parse_cluster(kGood, "c.json");
  EXPECT_EQ(cluster.name, "two");
  EXPECT_EQ(cluster.workload.prompt_tokens, 512);
  ASSERT_EQ(cluster.nodes.size(), 3u);
  EXPECT_EQ(cluster.nodes[2].name, "b1");
  EXPECT_EQ(cluster.network.gbps, 12.5);
  EXPECT_EQ(cluster.nodes[1].link.gbps, 11);
  EXPECT_EQ(cluster.nodes[0].link.gbps, find_gpu("T4")->pcie_gbps);
  const auto ranks = ranks_of(cluster);
  ASSERT_EQ(ranks.size(), 7u);
  EXPECT_EQ(ranks[2].node, 0u);
  EXPECT_EQ(ranks[3].gpu.name, "mine");
  EXPECT_EQ(ranks[3].gpu.bandwidth_gbps, 1000);
  EXPECT_EQ(ranks[6].gpu.memory_gib, 30);
  EXPECT_EQ(gpu_counts(cluster), "3 x T4 + 2 x mine + 2 x V100-32G");
}

TEST(Cluster, NvlinkJoinsEqualGpusOfANode) {
  const Cluster cluster =
      parse_cluster(changed(R"({"gpu": "T4", "count": 3})", R"({"gpu": "H200", "count": 2})"), "c");
  EXPECT_EQ(cluster.nodes[0].link.gbps, find_gpu("H200")->nvlink_gbps);
}

TEST(Cluster, GpusAreChecked) {
  EXPECT_REFUSED("\"V100-32G\"", "\"V100-32GB\"",
                 "nodes[1].gpus[1].gpu: no GPU is called \"V100-32GB\": did you mean V100-32G?");
  EXPECT_REFUSED("\"T4\", \"count\": 3", "\"T4\", \"count\": 0",
                 "c.json: nodes[0].gpus[0].count: want a whole number from 1 to 4096, found 0");
  EXPECT_REFUSED("\"T4\", \"count\": 3", "\"T4\", \"count\": -2", "found -2");
  EXPECT_REFUSED("\"count\": 2", "\"count\": 1.5", "nodes[1].count: want a whole number");
  EXPECT_REFUSED("\"count\": 2", "\"count\": 4000", "want at most 4096 GPUs in all, found 8003");
  EXPECT_REFUSED("\"memory_gb\": 30", "\"memory_gb\": 0", "memory_gb: want a number above 0");
  EXPECT_REFUSED("\"memory_gb\": 30", "\"memory_gb\": 0.4", "leave nothing for a model");
  EXPECT_REFUSED("\"memory_gb\": 20", "\"memory_gb\": 0",
                 "gpu_specs.mine.memory_gb: want a number above 0, found 0");
  EXPECT_REFUSED("\"half_tflops\": 200", "\"half_tflops\": -200",
                 "gpu_specs.mine.half_tflops: want a number above 0, found -200");
  EXPECT_REFUSED("\"bandwidth_gb_per_s\": 1000", "\"bandwidth\": 1000", "bandwidth is no key");
  EXPECT_REFUSED("\"compute_capability\": 90", "\"compute_capability\": 9",
                 "compute_capability: want a whole number from 60");
  EXPECT_REFUSED(R"("gpus": [{"gpu": "T4", "count": 3}])", R"("gpus": [])", "at least one GPU");
}

TEST(Cluster, LinksAndWorkAreChecked) {
  EXPECT_REFUSED("\"gb_per_s\": 12.5", "\"gb_per_s\": -12.5",
                 "network.gb_per_s: want a number above 0, found -12.5");
  EXPECT_REFUSED("\"gb_per_s\": 11", "\"gb_per_s\": 0", "nodes[1].link.gb_per_s: want a number");
  EXPECT_REFUSED("\"latency_us\": 9", "\"latency_us\": -9", "latency_us: want a number of 0 or");
  EXPECT_REFUSED("\"network\": {\"gb_per_s\": 12.5, \"latency_us\": 20},", "",
                 "network is missing, want the link between its 3 nodes");
  EXPECT_REFUSED("\"prompts\": 32", "\"prompts\": 0", "workload.prompts: want a whole number");
  EXPECT_REFUSED("\"shape\": \"opt-13b\",", "", "shape is missing");
  EXPECT_REFUSED("\"shape\"", "\"shapes\"", "did you mean shape?");
  EXPECT_REFUSED("llmpq-cluster-1", "llmpq-plan-1", "format: want \"llmpq-cluster-1\"");
}

TEST(Cluster, EveryFileOfOursLoadsWithItsShape) {
  const auto names = data_names("clusters");
  EXPECT_EQ(names.size(), 17u);
  for (const std::string& name : names) {
    const Cluster cluster = load_cluster(name);
    EXPECT_EQ(cluster.name, name);
    EXPECT_FALSE(cluster.note.empty()) << name;
    const ModelConfig config = load_model_config(shape_folder(cluster.shape));
    EXPECT_LE(cluster.workload.prompt_tokens + cluster.workload.output_tokens,
              config.max_positions);
  }
  EXPECT_EQ(ranks_of(load_cluster("64-gpus")).size(), 64u);
  EXPECT_EQ(gpu_counts(load_cluster("paper-05")), "4 x T4 + 2 x V100-32G");
}

/// Parameters of all matrices, embedding and head, in thousands of millions.
double billions(const std::string& shape) {
  const ModelConfig c = load_model_config(shape_folder(shape));
  const int64_t layer = c.hidden * (c.qkv_rows() + c.heads * c.head_dim + c.up_rows() + c.ffn);
  const int64_t vocab = c.vocab * c.hidden * (c.tied_head ? 1 : 2);
  return static_cast<double>(c.layers * layer + vocab) / 1e9;
}

TEST(Shapes, HaveTheParametersOfTheirNames) {
  EXPECT_NEAR(billions("opt-13b"), 12.85, 0.05);
  EXPECT_NEAR(billions("opt-30b"), 29.97, 0.05);
  EXPECT_NEAR(billions("opt-66b"), 65.7, 0.1);
  EXPECT_NEAR(billions("bloom-176b"), 176.2, 0.1);
  EXPECT_NEAR(billions("llama-3.1-8b"), 8.03, 0.01);
  EXPECT_NEAR(billions("llama-3.1-70b"), 70.55, 0.05);
  EXPECT_NEAR(billions("llama-3.1-405b"), 405.85, 0.1);
  EXPECT_NEAR(billions("qwen2.5-14b"), 14.77, 0.01);
  EXPECT_NEAR(billions("qwen2.5-32b"), 32.76, 0.01);
}

TEST(Cluster, IsFoundByPathOrName) {
  EXPECT_EQ(load_cluster(std::string(LLMPQ_DATA) + "/clusters/paper-01.json").name, "paper-01");
  EXPECT_EQ(load_cluster("/somewhere/paper-01").name, "paper-01");
  EXPECT_ERROR(load_cluster("/somewhere/paper-21"), Exit::kUsage, "did you mean paper-");
  EXPECT_ERROR(load_cluster("mine.json"), Exit::kUsage, "there are 64-gpus, a100-l4");
  EXPECT_ERROR(shape_folder("opt-1"), Exit::kUsage, "there are bloom-176b, llama-3.1-405b");
}

TEST(DataFolder, MayBeNamed) {
  ASSERT_EQ(kNamed, 0);
  setenv("LLMPQ_DATA", "/nowhere", 1);
  EXPECT_EQ(find_data_folder("shapes"), std::nullopt);
  EXPECT_ERROR(load_cluster("paper-01"), Exit::kUsage, "LLMPQ_DATA may name the folder");
  EXPECT_ERROR(shape_folder("opt-13b"), Exit::kUsage, "LLMPQ_DATA may name the folder");
  setenv("LLMPQ_DATA", LLMPQ_DATA, 1);
  EXPECT_NE(find_data_folder("shapes"), std::nullopt);
}

}  // namespace
}  // namespace llmpq
