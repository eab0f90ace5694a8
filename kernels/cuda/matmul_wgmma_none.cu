// Builds without code for compute capability 9.0.
#include "kernels/cuda/matmul_wgmma.cuh"

namespace llmpq::cuda {

bool has_wgmma(const StreamContext&) { return false; }
void matmul_wgmma(StreamContext&, const LinearArgs&, DType, WgmmaTokens) {
  raise(kInternal, "this build has no products for compute capability 9.0");
}

}  // namespace llmpq::cuda
