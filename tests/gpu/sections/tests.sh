#!/usr/bin/env bash
# The kernel tests on the GPU; each test counts.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

binary=$(program tests_cuda) || exit 1
log=$out/tests_cuda.log
status=0
timeout -k 5 $((50 * ${LLMPQ_GPU_SLOWER:-1})) "${launcher[@]}" "$binary" --gtest_color=no \
  >"$log" 2>&1 || status=$?
if [ "$status" = 124 ]; then note "failed tests_cuda: out of time"; fi
sed -n 's/^\[       OK \] \([^ ]*\).*/passed \1/p; s/^\[  SKIPPED \] \([^ ]*\) (.*/skipped \1/p' "$log" \
  >>"$out/results.txt"
sed -n 's/^\[  FAILED  \] \([^ ]*\),* .*(.*ms)$/failed tests_cuda \1/p' "$log" >>"$out/results.txt"
echo "\`tests_cuda\`: $(grep -c '^\[       OK \]' "$log") passed," \
  "$(grep -c '^\[  FAILED  \].*ms)$' "$log") failed," \
  "$(grep -c '^\[  SKIPPED \].*ms)$' "$log") skipped, exit code $status"
if [ "$status" != 0 ]; then
  echo
  grep -A8 'Failure$' "$log" | head -n 120 | cut -c1-300 | sed 's/^/    /'
  # A crash is no test's failure: the exit code alone tells of it.
  grep -q '^\[  FAILED  \]' "$log" || exit "$status"
fi
exit 0
