// Cluster descriptions: any text either gives a cluster of GPUs with memory, or a usage error.
#include <cstdlib>

#include "input/cluster.hpp"
#include "kernels/check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmpq;
  try {
    const Cluster cluster = parse_cluster({reinterpret_cast<const char*>(data), size}, "fuzz.json");
    if (ranks_of(cluster).empty() || gpu_counts(cluster).empty()) std::abort();
    for (const ClusterRank& rank : ranks_of(cluster))
      if (usable_bytes(rank.gpu) <= 0) std::abort();
  } catch (const Error& error) {
    if (error.code() != Exit::kUsage) std::abort();
  }
  return 0;
}
