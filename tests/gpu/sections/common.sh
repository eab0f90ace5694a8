# shellcheck shell=bash
# Sourced by every section: where programs and data are, how they are run, and what is noted.
set -uo pipefail

dir=$LLMPQ_RUN_DIR out=$LLMPQ_RUN_OUT
dry=${LLMPQ_GPU_DRYRUN:-0} emulated=${LLMPQ_GPU_EMULATED:-0}
# Sizes for a CPU, which computes what a GPU should.
small=$((dry | emulated))
data=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../../data" 2>/dev/null && pwd)
if [ -d "$dir/data" ]; then data=$dir/data; fi
LLMPQ_TEST_DATA=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export LLMPQ_TEST_DATA
gpu_backend=cuda share=(--share-gpu)
if [ "$dry" = 1 ]; then gpu_backend=cpu share=(); fi

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
# A bundle's run.sh brings the libraries along; a build folder's module is in src/.
launcher=("$dir/run.sh")
if [ ! -x "$dir/run.sh" ]; then
  launcher=()
  export LLMPQ_CUDA_MODULE=$dir/src/libllmpq_cuda.so
fi
if [ "$emulated" = 1 ]; then export LLMPQ_CUDA_MODULE=$dir/tests/emulated_gpu/libllmpq_cuda_emulated.so; fi

# Where a program is: flat in a bundle, in its room's folder in a build.
program() {
  local place
  for place in bin src tests kernels; do
    if [ -x "$dir/$place/$1" ]; then echo "$dir/$place/$1" && return; fi
  done
  echo "$1 is in no folder of $dir" >&2
  return 1
}

start() { "${launcher[@]}" "$@"; }

# llmpq RANKS ARGUMENTS...: without mpirun if RANKS is 1.
llmpq() {
  local ranks=$1 binary
  shift
  binary=$(program llmpq) || return
  if [ "$ranks" = 1 ]; then start "$binary" "$@"; else
    start mpirun -n "$ranks" "$binary" "$@"
  fi
}

# note passed|failed|skipped NAME...: one line of the count.
note() { echo "$*" >>"$out/results.txt"; }

# check NAME COMMAND...: runs it with its output in a log, notes how it ended, and returns its
# status.
check() {
  local name=$1 status=0 log
  log=$out/$(echo "$1" | tr -c 'a-zA-Z0-9_.\n' '-').log
  shift
  "$@" >"$log" 2>&1 || status=$?
  if [ "$status" = 0 ]; then note "passed $name"; else
    note "failed $name: exit code $status: $(grep -h -m1 'error' "$log" | cut -c1-300)"
  fi
  return "$status"
}

# part A B: A / B as a percentage; "-" if there is nothing to divide.
part() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.0f %%", 100 * a / b; else print "-" }'; }

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }
