// Specification sheets of common GPUs: what a plan counts on where nobody measured. The one copy of
// these numbers; compiled in, so that an installed program has them. To add a GPU: a row in
// gpu_specs.cpp, or "gpu_specs" in a cluster file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace llmpq {

struct GpuSpec {
  std::string name;
  int compute_capability = 0;  ///< major * 10 + minor
  double memory_gib = 0;       ///< what the sheet calls GB
  double shown_share = 0.98;   ///< of it that the driver shows: ECC in GDDR memory takes some
  double bandwidth_gbps = 0;   ///< GB/s of its memory
  /// Dense products of 16-bit numbers, added up in f32: on tensor cores where there are some.
  double half_tflops = 0;
  double fp32_tflops = 0;
  double int8_tops = 0;    ///< 0: the sheet names none
  double nvlink_gbps = 0;  ///< GB/s one way, over all links to other GPUs of its node; 0: none
  double pcie_gbps = 0;    ///< GB/s one way
  std::string source;      ///< whose sheet, of which year
};

/// By generation, then by size.
std::span<const GpuSpec> gpu_specs();

/// nullptr if there is none of that name (case does not matter).
const GpuSpec* find_gpu(std::string_view name);

/// Which one was perhaps meant: "did you mean A100-80G?", or all names.
std::string did_you_mean_gpu(std::string_view name);

/// What a stage may use of its memory: what the driver shows less what a process takes for the
/// CUDA context and cuBLAS.
int64_t usable_bytes(const GpuSpec& spec);

}  // namespace llmpq
