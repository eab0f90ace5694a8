// Faults that LLMPQ_EMULATED_FAULT asks for, so that it can be seen what a program makes of them:
// KIND:N or KIND:N@GPU. What the N-th does (counted from 1), and all after it:
//   kernel      reads where it may not: from then on every call fails, as CUDA has it
//   hang        never ends
//   launch      is refused, for want of registers or so; nothing else happens
//   allocation  finds that another process has taken the memory
#pragma once

#include "cuda_runtime_api.h"

namespace llmpq::emulated {

/// What every call returns since a kernel failed; cudaSuccess before.
cudaError_t broken();

/// Counts a kernel that is about to run: false if it must not. May not return.
bool may_run();
/// Count a launch, and an allocation of device memory: what they return.
cudaError_t of_launch();
cudaError_t of_allocation();

}  // namespace llmpq::emulated
