#!/usr/bin/env bash
# The tests of single operations on the GPU, then those of whole models; each test counts.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# run_tests PROGRAM SECONDS: a crash is no test's failure: its exit code alone tells of it.
run_tests() {
  local name=$1 binary log=$out/$1.log status=0
  binary=$(program "$name") || return
  timeout -k 5 $(($2 * ${LLMPQ_GPU_SLOWER:-1})) "${launcher[@]}" "$binary" --gtest_color=no \
    >"$log" 2>&1 || status=$?
  if [ "$status" = 124 ]; then note "failed $name: out of time"; fi
  sed -n 's/^\[       OK \] \([^ ]*\).*/passed \1/p; s/^\[  SKIPPED \] \([^ ]*\) (.*/skipped \1/p' "$log" \
    >>"$out/results.txt"
  sed -n "s/^\[  FAILED  \] \([^ ]*\),* .*(.*ms)$/failed $name \1/p" "$log" >>"$out/results.txt"
  echo "\`$name\`: $(grep -c '^\[       OK \]' "$log") passed," \
    "$(grep -c '^\[  FAILED  \].*ms)$' "$log") failed," \
    "$(grep -c '^\[  SKIPPED \].*ms)$' "$log") skipped, exit code $status"
  echo
  [ "$status" != 0 ] || return 0
  grep -A8 'Failure$' "$log" | head -n 120 | cut -c1-300 | sed 's/^/    /'
  grep -q '^\[  FAILED  \]' "$log"
}

status=0
run_tests tests_cuda 45 || status=$?
run_tests tests_on_gpu 20 || status=$?
exit "$status"
