#!/usr/bin/env bash
# Races in shared memory: a short list of tests, one or more for each kernel that uses it. Products of
# 65 rows and more on Hopper are not among them: there one lane of a warp arrives at a barrier for
# the whole warp, after __syncwarp, and racecheck calls what the other lanes read a hazard.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/sanitize.sh"

filters=('*CudaLinearTest.MatchesTheDoubleSum/w?_bf16_7x192x512' '*CudaLinearTest.MatchesTheDoubleSum/w?_f16_33x144x896'
  '*CudaLinearTest.MatchesTheDoubleSum/w?_bf16_3x48x9001' 'CudaLinear.KernelsOfOneOrder*'
  '*GpuAttentionTest.AQThatIsNotFiniteStaysInItsRow/*' 'GpuElementwiseTest.*Norm*'
  'GpuElementwiseTest.RouteChooses*' 'GpuSampleTest.EveryOptionAlone' 'GpuSampleTest.Scores*')
print_header
sanitize racecheck 70 "$(IFS=: && echo "${filters[*]}")"
exit 0
