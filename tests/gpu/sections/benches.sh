# shellcheck shell=bash
# Sourced by the sections that run kernel_bench.

binary=$(program kernel_bench) || exit 1
# As recorded graphs, like a stage's decode steps: single launches would be what is timed.
export LLMPQ_BENCH_DEVICE=cuda LLMPQ_BENCH_GRAPH=1
if [ "$dry" = 1 ]; then LLMPQ_BENCH_DEVICE=dry; fi

# bench NAME FILTER SECONDS: its table, in NAME.md too; what there was no time for is missing in it.
bench() {
  local name=$1 status=0
  LLMPQ_BENCH_FILTER=$2 timeout -k 5 $(($3 * ${LLMPQ_GPU_SLOWER:-1})) "${launcher[@]}" "$binary" \
    >"$out/$name.md" 2>"$out/$name.err" || status=$?
  cat "$out/$name.md" "$out/$name.err"
  if [ "$status" = 0 ]; then note "passed kernel_bench $name"; else
    note "failed kernel_bench $name: exit code $status, $(grep -c WRONG "$out/$name.md") cases wrong"
  fi
}
