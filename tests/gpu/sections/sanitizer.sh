#!/usr/bin/env bash
# The kernel tests under compute-sanitizer: memory errors, races in shared memory, and reads of
# memory that nothing wrote. Big shapes are left out: a kernel is up to a hundred times slower here.
# Tests come in a shuffled order, the same each time, so that all operations have their turn early.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

filter=${LLMPQ_SANITIZER_FILTER:--*Large*:*RealShapes*}
# matmul_wgmma_kernel.cuh is left out of racecheck: there one lane of a warp arrives at a barrier for
# the whole warp, after __syncwarp, and racecheck calls what the other lanes read a hazard.
declare -A left_out=([racecheck]=$(printf ':*w?_*f16_%sx*' 65 97 128 129 200 256 257 512 700))
declare -A share_s=([memcheck]=45 [racecheck]=45 [initcheck]=20)

if [ "$dry" = 1 ]; then note "skipped sanitizer: dry run"; echo "Left out: dry run."; exit 0; fi
sanitizer=$(command -v compute-sanitizer || ls "${CUDA_HOME:-/usr/local/cuda}"/bin/compute-sanitizer 2>/dev/null)
if [ -z "$sanitizer" ]; then
  note "skipped sanitizer: there is no compute-sanitizer"
  echo "There is no compute-sanitizer."
  exit 0
fi
binary=$(program tests_cuda) || exit 1

echo "\`--gtest_filter=$filter\`"
echo
echo "| tool | result | tests done | s |"
echo "|---|---|---|---|"
for tool in memcheck racecheck initcheck; do
  log=$out/sanitizer_$tool.log status=0 began=$(now)
  timeout -k 5 $((${share_s[$tool]} * ${LLMPQ_GPU_SLOWER:-1})) \
    "${launcher[@]}" "$sanitizer" --tool "$tool" --report-api-errors no --error-exitcode 99 --print-limit 20 \
    "$binary" --gtest_color=no --gtest_filter="$filter${left_out[$tool]:-}" --gtest_shuffle --gtest_random_seed=1 \
    >"$log" 2>&1 || status=$?
  done_tests=$(grep -c '^\[       OK \]' "$log")
  summary=$(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$log" | tail -n1 | sed 's/=* *//')
  if grep -q 'Device not supported' "$log"; then
    note "skipped sanitizer $tool: it does not support this device"
    summary="does not support this device"
  elif [ "$status" = 0 ]; then
    note "passed sanitizer $tool"
  elif [ "$status" = 124 ] && ! grep -q '^=\{9\} \(Invalid\|Error\|Uninitialized\|Race\)' "$log"; then
    note "passed sanitizer $tool: nothing found in $done_tests tests, then out of time"
    summary="nothing found, out of time"
  else
    note "failed sanitizer $tool: exit code $status, $summary"
  fi
  echo "| $tool | ${summary:-exit code $status} | $done_tests | $(since "$began") |"
  if [ "$status" != 0 ]; then grep '^=========' "$log" | head -n 30 | cut -c1-200 >&2; fi
done
exit 0
