// Finds and opens the CUDA module beside the program.
#pragma once

#include <string>

#include "kernels/cuda/module.hpp"

namespace llmpq::cuda {

/// The module, opened once; nullptr where it is absent or cannot be loaded, with the reason.
struct Loaded {
  const Module* module = nullptr;
  std::string why_none;
};
const Loaded& loaded_module();

/// Throws the failure as an Error.
[[noreturn]] void throw_failure(const Failure& failure);

}  // namespace llmpq::cuda
