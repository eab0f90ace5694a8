// Which rank computes on what: decided from what every rank asks for and sees, in the same way on
// all of them. Pure: neither MPI nor CUDA. Used by commands/machines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "input/job.hpp"
#include "kernels/backend.hpp"
#include "kernels/check.hpp"

namespace llmpq {

/// What a rank asks for and sees before it is bound.
struct RankSight {
  int rank = 0;
  std::string host;
  BackendWish wish = BackendWish::kAuto;
  std::vector<DeviceInfo> gpus;  ///< in CUDA's order; not looked for where the wish is kCpu
  std::string why_none;          ///< why there are none
  bool gpu_on_bus = false;       ///< the host has an NVIDIA GPU, usable or not
};

struct RankBinding {
  BackendKind kind = BackendKind::kCpu;
  int gpu = -1;     ///< index among the GPUs that the rank sees; -1: computes on its CPU
  int sharers = 1;  ///< ranks on that GPU, this one too
};

/// The ranks of a host that see the same GPUs take them in turn; so the only GPU that Slurm shows
/// to a task is its own. Two ranks on one GPU (told by UUID, over all hosts) without `share_gpu`,
/// or a wish for CUDA where there is no GPU: Error(kGpu).
std::vector<RankBinding> bind_ranks(const std::vector<RankSight>& ranks, bool share_gpu);

/// Something to tell: which ranks compute on what, and why.
struct BindingLine {
  std::string text;
  bool is_warning = false;  ///< a GPU is left unused that the machine has
};
std::vector<BindingLine> explain(const std::vector<RankSight>& ranks,
                                 const std::vector<RankBinding>& bindings);

/// What a rank may fill of a GPU on which `free_bytes` of `total_bytes` are free after all of its
/// `sharers` ranks have opened it: an equal share, less what the driver takes later (loaded
/// kernels, cuBLAS, streams).
int64_t gpu_share(int64_t free_bytes, int64_t total_bytes, int sharers);

/// "0-2,5".
std::string ranges_text(const std::vector<int>& ascending);
/// "rank 3", "ranks 0-2,5".
std::string ranks_text(const std::vector<int>& ascending);

/// An option's values by rank: a single one is for all, none is T{}; Error(kUsage) for any other
/// number than `ranks`.
template <typename T>
std::vector<T> for_each_rank(const std::vector<T>& values, int ranks, std::string_view flag) {
  if (values.empty()) return std::vector<T>(static_cast<size_t>(ranks));
  if (values.size() == 1) return std::vector<T>(static_cast<size_t>(ranks), values.front());
  CHECK(values.size() == static_cast<size_t>(ranks), Exit::kUsage,
        "{}: there are {} values for {} ranks: give one for all, or one for each", flag,
        values.size(), ranks);
  return values;
}

}  // namespace llmpq
