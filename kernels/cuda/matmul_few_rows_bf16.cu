// The kernels for inputs in bf16, in a file of their own so that they compile side by side.
#include "kernels/cuda/matmul_few_rows_launch.cuh"

namespace llmpq::cuda {

template void launch_few_rows<__nv_bfloat16>(StreamContext&, Format, FewRowsBlocks,
                                             const FewRowsTask&, const FewRowsLimits&);

}  // namespace llmpq::cuda
