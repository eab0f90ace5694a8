#include <nvtx3/nvToolsExt.h>

#include "kernels/cuda/marks.cuh"

namespace llmpq::cuda {

void push_range(const char* name) { nvtxRangePushA(name); }
void pop_range() { nvtxRangePop(); }

}  // namespace llmpq::cuda
