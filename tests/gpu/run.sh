#!/usr/bin/env bash
# Everything that is worth running on a machine with a GPU, in one go and under 10 minutes.
#   tests/gpu/run.sh DIR [--out FOLDER] [SECTION ...]
# DIR: a bundle (tests/gpu/bundle.sh) or a build folder. SECTION: those of all_sections, the most
# telling first; all of them if none is named. FOLDER (default: gpu-report) gets report.md and the
# logs. Each section has a time limit of its own, and what breaks in one does not stop the others; all
# together have one, too, so that the report is always whole. The last line is
# `N passed, N failed, N skipped`; exit 0 only if nothing failed, 3 where there is no GPU.
#   LLMPQ_GPU_DRYRUN=1        the same on the CPU, small, to try out the scripts
#   LLMPQ_GPU_EMULATED=1      as small, on an emulated GPU (tests/emulated_gpu): those sections that
#                             are not about speed; DIR is a build folder
#   LLMPQ_GPU_SLOWER=2        doubles the time limits
#   LLMPQ_GPU_SECONDS=570     for all sections together
#   LLMPQ_SANITIZER_FILTER    --gtest_filter under compute-sanitizer
#   LLMPQ_DUMMY_RUNS, LLMPQ_DUMMY_LAYERS    see sections/dummy.sh
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
all_sections=(info tests products profile links unlike racecheck moe tiny counters dummy sanitizer bench)
emulated_sections=(profile links unlike moe tiny)
declare -A limit_s=([info]=20 [tests]=70 [products]=100 [profile]=90 [links]=30 [unlike]=40 [racecheck]=80 [moe]=30
  [tiny]=60 [counters]=70 [dummy]=130 [sanitizer]=70 [bench]=50)
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
title="llmpq on a GPU" made_up=0 slower=${LLMPQ_GPU_SLOWER:-1}
if [ "${LLMPQ_GPU_DRYRUN:-0}" = 1 ]; then title="llmpq on a CPU: a dry run" made_up=1; fi
if [ "${LLMPQ_GPU_EMULATED:-0}" = 1 ]; then
  title="llmpq on an emulated GPU, not on a GPU" made_up=1 slower=${LLMPQ_GPU_SLOWER:-8}
  all_sections=("${emulated_sections[@]}")
fi
[ "${#sections[@]}" -gt 0 ] || sections=("${all_sections[@]}")
for section in "${sections[@]}"; do [ -n "${limit_s[$section]:-}" ] || usage; done
if [ "$made_up" = 0 ] && [ ! -e /dev/nvidiactl ] && ! nvidia-smi -L >/dev/null 2>&1; then
  echo "There is no GPU here: neither /dev/nvidiactl nor an answer of nvidia-smi. Nothing was run;" \
    "LLMPQ_GPU_EMULATED=1 and LLMPQ_GPU_DRYRUN=1 try it out on the CPU." >&2
  exit 3
fi

most_s=$((${LLMPQ_GPU_SECONDS:-570} * slower))
mkdir -p "$out"
export LLMPQ_RUN_DIR LLMPQ_RUN_OUT LLMPQ_GPU_SLOWER=$slower
LLMPQ_RUN_DIR=$(cd "$dir" && pwd)
LLMPQ_RUN_OUT=$(cd "$out" && pwd)
report=$LLMPQ_RUN_OUT/report.md results=$LLMPQ_RUN_OUT/results.txt
: >"$report"
: >"$results"
say() { echo "$@" | tee -a "$report"; }

# One section in a process of its own; its standard output is its part of the report.
run_section() {
  local section=$1 began=$SECONDS status=0 log=$LLMPQ_RUN_OUT/$1.log
  local limit=$((${limit_s[$1]} * slower)) left=$((most_s - SECONDS))
  say && say "## $section" && say
  if [ "$left" -lt 10 ]; then
    echo "skipped $section: no time is left of $most_s s" >>"$results"
    say "Left out: no time is left of $most_s s."
    return
  fi
  if [ "$limit" -gt "$left" ]; then limit=$left; fi
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

say "# $title"
say
gpu=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null |
  sed 's/, /, driver /' | paste -sd';')
say "$(date -u '+%Y-%m-%d %H:%M UTC'), $(hostname), $(nproc) CPUs, ${gpu:-no nvidia-smi}"
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
