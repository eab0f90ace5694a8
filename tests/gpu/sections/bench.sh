#!/usr/bin/env bash
# The kernels' speed, beside what the GPU reaches with a copy and with cuBLAS.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

binary=$(program kernel_bench) || exit 1
# As recorded graphs, like a stage's decode steps: single launches would be what is timed.
export LLMPQ_BENCH_DEVICE=cuda LLMPQ_BENCH_GRAPH=1
if [ "$dry" = 1 ]; then LLMPQ_BENCH_DEVICE=dry; fi
start "$binary" >"$out/bench.md" 2>"$out/bench.err"
status=$?
cat "$out/bench.md" "$out/bench.err"
if [ "$status" = 0 ]; then note "passed kernel_bench"; else
  note "failed kernel_bench: exit code $status, $(grep -c WRONG "$out/bench.md") cases wrong"
fi
exit 0
