#include "input/gpu_specs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "input/job.hpp"

namespace llmpq {
namespace {

constexpr double kGib = 1024.0 * 1024 * 1024;
constexpr double kProcessGib = 0.5;  ///< context, modules, cuBLAS: 0.4 to 0.5 GiB on GPUs seen here
constexpr double kEcc = 0.92;        ///< 14.76 of a T4's 16 GiB, 22.1 of an A10's 24
constexpr double kPcie3 = 15.8, kPcie4 = 31.5, kPcie5 = 63;

// Peaks are without sparsity. Cards for games add up in f32 at half of their f16 rate, which is the
// rate that stands here. NVLink's GB/s are half of what sheets say, which count both ways.
// clang-format off
const std::array kSpecs{
    // name, capability, GiB, shown, GB/s, half, fp32, int8, NVLink, PCIe, source
    GpuSpec{"P100-12G", 60, 12, 0.98, 549, 18.7, 9.3, 0, 0, kPcie3, "NVIDIA Tesla P100 PCIe data sheet, 2016"},
    GpuSpec{"P100-16G", 60, 16, 0.98, 732, 18.7, 9.3, 0, 0, kPcie3, "NVIDIA Tesla P100 PCIe data sheet, 2016"},
    GpuSpec{"V100-16G", 70, 16, 0.98, 900, 125, 15.7, 0, 150, kPcie3, "NVIDIA V100 SXM2 data sheet, 2018"},
    GpuSpec{"V100-32G", 70, 32, 0.98, 900, 125, 15.7, 0, 150, kPcie3, "NVIDIA V100 SXM2 data sheet, 2018"},
    GpuSpec{"T4", 75, 16, kEcc, 300, 65, 8.1, 130, 0, kPcie3, "NVIDIA T4 data sheet, 2019"},
    GpuSpec{"RTX3090", 86, 24, 0.98, 936, 71, 35.6, 284, 56, kPcie4, "NVIDIA Ampere GA102 white paper, 2020"},
    GpuSpec{"A10", 86, 24, kEcc, 600, 125, 31.2, 250, 0, kPcie4, "NVIDIA A10 data sheet, 2021"},
    GpuSpec{"A30", 80, 24, 0.98, 933, 165, 10.3, 330, 100, kPcie4, "NVIDIA A30 data sheet, 2021"},
    GpuSpec{"A6000", 86, 48, kEcc, 768, 154.8, 38.7, 309.7, 56, kPcie4, "NVIDIA RTX A6000 data sheet, 2020"},
    GpuSpec{"A100-40G", 80, 40, 0.98, 1555, 312, 19.5, 624, 300, kPcie4, "NVIDIA A100 data sheet, 2021"},
    GpuSpec{"A100-80G", 80, 80, 0.98, 2039, 312, 19.5, 624, 300, kPcie4, "NVIDIA A100 SXM data sheet, 2021"},
    GpuSpec{"RTX4090", 89, 24, 0.98, 1008, 165.2, 82.6, 660.6, 0, kPcie4, "NVIDIA Ada architecture white paper, 2022"},
    GpuSpec{"L4", 89, 24, kEcc, 300, 121, 30.3, 242, 0, kPcie4, "NVIDIA L4 data sheet, 2023"},
    GpuSpec{"L40S", 89, 48, kEcc, 864, 362, 91.6, 733, 0, kPcie4, "NVIDIA L40S data sheet, 2023"},
    GpuSpec{"H20", 90, 96, 0.98, 4000, 148, 44, 296, 450, kPcie5, "NVIDIA H20 data sheet, 2024"},
    GpuSpec{"H100-PCIe", 90, 80, 0.98, 2000, 756, 51, 1513, 300, kPcie5, "NVIDIA H100 data sheet, 2023"},
    GpuSpec{"H100-SXM", 90, 80, 0.98, 3350, 989, 67, 1979, 450, kPcie5, "NVIDIA H100 data sheet, 2023"},
    GpuSpec{"H200", 90, 141, 0.98, 4800, 989, 67, 1979, 450, kPcie5, "NVIDIA H200 data sheet, 2024"},
    GpuSpec{"B200", 100, 180, 0.98, 8000, 2250, 75, 4500, 900, kPcie5, "NVIDIA HGX B200 data sheet, 2025"},
};
// clang-format on

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

}  // namespace

std::span<const GpuSpec> gpu_specs() { return kSpecs; }

const GpuSpec* find_gpu(std::string_view name) {
  const std::string wanted = lower(name);
  const auto at = std::find_if(kSpecs.begin(), kSpecs.end(),
                               [&](const GpuSpec& spec) { return lower(spec.name) == wanted; });
  return at == kSpecs.end() ? nullptr : &*at;
}

std::string did_you_mean_gpu(std::string_view name) {
  std::vector<std::string> names, lower_names;
  for (const GpuSpec& spec : kSpecs) {
    names.push_back(spec.name);
    lower_names.push_back(lower(spec.name));
  }
  const std::string near = nearest_name(lower(name), lower_names);
  return near.empty() ? fmt::format("known are {}", fmt::join(names, ", "))
                      : fmt::format("did you mean {}?", find_gpu(near)->name);
}

int64_t usable_bytes(const GpuSpec& spec) {
  return static_cast<int64_t>(std::max(0.0, spec.memory_gib * spec.shown_share - kProcessGib) *
                              kGib);
}

}  // namespace llmpq
