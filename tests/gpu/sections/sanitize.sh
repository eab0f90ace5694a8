# shellcheck shell=bash
# Sourced by the sections that run the kernel tests under compute-sanitizer.

if [ "$dry" = 1 ]; then note "skipped sanitizer: dry run"; echo "Left out: dry run."; exit 0; fi
sanitizer=$(command -v compute-sanitizer || ls "${CUDA_HOME:-/usr/local/cuda}"/bin/compute-sanitizer 2>/dev/null)
if [ -z "$sanitizer" ]; then
  note "skipped sanitizer: there is no compute-sanitizer"
  echo "There is no compute-sanitizer."
  exit 0
fi
binary=$(program tests_cuda) || exit 1

# sanitize TOOL SECONDS FILTER: a row of the table. Tests come in a shuffled order, the same each
# time, so that all operations have their turn early; out of time with nothing found is a success.
sanitize() {
  local tool=$1 seconds=$(($2 * ${LLMPQ_GPU_SLOWER:-1})) filter=$3 status=0 began log done_tests summary
  log=$out/sanitizer_$tool.log began=$(now)
  timeout -k 5 "$seconds" \
    "${launcher[@]}" "$sanitizer" --tool "$tool" --report-api-errors no --error-exitcode 99 --print-limit 20 \
    "$binary" --gtest_color=no --gtest_filter="$filter" --gtest_shuffle --gtest_random_seed=1 \
    >"$log" 2>&1 || status=$?
  done_tests=$(grep -c '^\[       OK \]' "$log")
  summary=$(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$log" | tail -n1 | sed 's/=* *//')
  if grep -q 'Device not supported' "$log"; then
    note "skipped sanitizer $tool: it does not support this device"
    summary="does not support this device"
  elif [ "$done_tests" = 0 ]; then
    note "failed sanitizer $tool: no test was done, exit code $status"
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
}

print_header() {
  echo "| tool | result | tests done | s |"
  echo "|---|---|---|---|"
}
