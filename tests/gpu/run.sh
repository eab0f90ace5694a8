#!/usr/bin/env bash
# Everything that is worth running on a machine with a GPU, in one go and under 8 minutes.
#   tests/gpu/run.sh DIR [--out FOLDER] [SECTION ...]
# DIR: a bundle (tests/gpu/bundle.sh) or a build folder. SECTION: info tests sanitizer bench tiny
# dummy; all of them if none is named. FOLDER (default: gpu-report) gets report.md and the logs.
# Each section has a time limit of its own, and what breaks in one does not stop the others.
# The last line is `N passed, N failed, N skipped`; exit 0 only if nothing failed.
#   LLMPQ_GPU_DRYRUN=1        the same on the CPU, small, to try out the scripts
#   LLMPQ_GPU_SLOWER=2        doubles the time limits
#   LLMPQ_SANITIZER_FILTER    --gtest_filter under compute-sanitizer
#   LLMPQ_DUMMY_RUNS, LLMPQ_DUMMY_LAYERS    see sections/dummy.sh
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
all_sections=(info tests sanitizer bench tiny dummy)
declare -A limit_s=([info]=20 [tests]=60 [sanitizer]=120 [bench]=90 [tiny]=60 [dummy]=130)

usage() {
  echo "usage: tests/gpu/run.sh DIR [--out FOLDER] [${all_sections[*]}]" >&2
  exit 2
}

dir="" out=gpu-report sections=()
while [ $# -gt 0 ]; do
  case $1 in
    --out) [ $# -ge 2 ] || usage; out=$2; shift ;;
    -*) usage ;;
    *) if [ -z "$dir" ]; then dir=$1; else sections+=("$1"); fi ;;
  esac
  shift
done
[ -d "$dir" ] || usage
[ "${#sections[@]}" -gt 0 ] || sections=("${all_sections[@]}")
for section in "${sections[@]}"; do [ -n "${limit_s[$section]:-}" ] || usage; done

mkdir -p "$out"
export LLMPQ_RUN_DIR LLMPQ_RUN_OUT
LLMPQ_RUN_DIR=$(cd "$dir" && pwd)
LLMPQ_RUN_OUT=$(cd "$out" && pwd)
report=$LLMPQ_RUN_OUT/report.md results=$LLMPQ_RUN_OUT/results.txt
: >"$report"
: >"$results"
say() { echo "$@" | tee -a "$report"; }

# One section in a process of its own; its standard output is its part of the report.
run_section() {
  local section=$1 began=$SECONDS status=0 log=$LLMPQ_RUN_OUT/$1.log
  local limit=$((${limit_s[$1]} * ${LLMPQ_GPU_SLOWER:-1}))
  say && say "## $section" && say
  timeout -k 10 "$limit" bash "$here/sections/$section.sh" 2>"$log" </dev/null |
    tee -a "$report" || status=$?
  if [ "$status" = 124 ] || [ "$status" = 137 ]; then
    echo "failed $section: not done after $limit s" >>"$results"
    say && say "Cut off after $limit s."
  elif [ "$status" != 0 ]; then
    echo "failed $section: exit code $status" >>"$results"
    say && say "Ended with exit code $status:" && say
    tail -n 15 "$log" | sed 's/^/    /' | tee -a "$report"
  fi
  say && say "($((SECONDS - began)) s)"
}

say "# llmpq on a GPU"
say
gpu=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null |
  sed 's/, /, driver /' | paste -sd';')
say "$(date -u '+%Y-%m-%d %H:%M UTC'), $(hostname), $(nproc) CPUs, ${gpu:-no nvidia-smi}" \
  "${LLMPQ_GPU_DRYRUN:+(dry run)}"
for section in "${sections[@]}"; do run_section "$section"; done

count() { grep -c "^$1 " "$results"; }
failed=$(count failed)
if [ "$failed" != 0 ]; then
  say && say "## Failed" && say
  sed -n 's/^failed /- /p' "$results" | head -n 50 | tee -a "$report"
fi
say && say "Everything took $SECONDS s."
say "$(count passed) passed, $failed failed, $(count skipped) skipped"
[ "$failed" = 0 ] && [ "$(count passed)" -gt 0 ]
