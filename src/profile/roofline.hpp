// A GPU that nobody measured, from its specification sheet: each part of a layer takes as long as
// its bytes or its operations do, whichever is longer, at the share of the peak that such kernels
// reach. Which kernel runs follows kernels/cuda/linear.cu.
#pragma once

#include "input/gpu_specs.hpp"
#include "input/model_config.hpp"
#include "kernels/tensor.hpp"
#include "profile/latency_model.hpp"

namespace llmpq {

/// The profile ("specification") of a GPU for the layers of a model, over 1 to 8,192 rows. Formats
/// that its compute capability has no kernel for are left out.
DeviceProfile roofline(const GpuSpec& spec, const ModelConfig& config, DType kv_type);

}  // namespace llmpq
