// The bundled model, and a measuring of it that a test can wait for.
#pragma once

#include "input/model_config.hpp"
#include "profile/measure.hpp"

namespace llmpq {

inline ModelConfig tiny() { return load_model_config(std::string(LLMPQ_DATA) + "/tiny"); }

inline MeasureSetup small_setup() {
  MeasureSetup setup;
  setup.formats = {{Format::kBf16, ActivationType::kF32}, {Format::kW4, ActivationType::kInt8}};
  setup.heads = {{Format::kBf16, ActivationType::kF32}};
  setup.limits = {32, 8, 64};
  setup.layers_per_rank = 2;
  setup.memory_bytes = 256 << 20;
  setup.budget_s = 1.5;
  return setup;
}

}  // namespace llmpq
