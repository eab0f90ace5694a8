#!/usr/bin/env bash
# Compiles every kernels/cuda/*.cu for the GPUs that speed is tuned for and reads ptxas's report: no
# kernel may spill registers to memory, but for those of allowed_spills.txt.
#   tests/gpu/check_spills.sh [--all] [--log FILE] [COMPUTE_CAPABILITY ...]   default: 80 90
# --all: lists registers, shared memory and spills of every kernel.
# --log: ninja's output of a build that had CUDAFLAGS=-Xptxas=-v; what it reports is not compiled
# again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

nvcc=${NVCC:-nvcc}
allowed=tests/gpu/allowed_spills.txt
all=0 build_log=
if [ "${1:-}" = --all ]; then all=1 && shift; fi
if [ "${1:-}" = --log ]; then build_log=$2 && shift 2; fi
architectures=("$@")
[ $# -gt 0 ] || architectures=(80 90)
command -v "$nvcc" >/dev/null || { echo "check_spills: there is no nvcc" >&2; exit 1; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch

# report FILE ARCHITECTURE: ptxas's words, in a file of their own.
report() {
  local log=$scratch/${1##*/}.$2
  "$nvcc" -std=c++20 -O3 -cubin "-arch=sm_$2" -Xptxas -v -I . -DLLMPQ_CUDA_ARCHITECTURES='""' \
    "$1" -o "$log.cubin" >"$log.failed" 2>&1 && mv "$log.failed" "$log.log"
}

# Cuts what ninja printed into one file for each .cu file that it compiled.
cut_build_log() {
  awk -v folder="$scratch" '
    /^\[[0-9]+\/[0-9]+\] / {
      part = ""
      if ($2 " " $3 " " $4 == "Building CUDA object") {
        part = $NF
        sub(/.*\//, "", part)
        sub(/\.o$/, "", part)
        part = folder "/" part ".build"
      }
    }
    part != "" { print >part }' "$1"
}

# report_of_build FILE ARCHITECTURE: as report, from the build's output; fails if it is not there.
report_of_build() {
  local built=$scratch/${1##*/}.build
  grep -qs '^ptxas info' "$built" || return 1
  if grep -q 'Compiling entry function' "$built"; then  # a file with kernels
    grep -q "for 'sm_$2'" "$built" || return 1
  fi
  awk -v wanted="for 'sm_$2'" '
    /Compiling entry function/ { here = index($0, wanted) }
    here' "$built" >"$scratch/${1##*/}.$2.log"
}

# A line for each kernel: architecture, registers, spilled bytes (stored and loaded), name.
kernels() {
  local log architecture
  for log in "$scratch"/*.log; do
    architecture=${log%.log}
    awk -v architecture="${architecture##*.}" '
      /Compiling entry function/ { split($0, part, "\047"); kernel = part[2] }
      /Function properties for/  { function_name = $NF }
      /bytes spill stores/ && function_name == kernel {
        for (i = 1; i < NF; ++i) if ($(i + 1) == "bytes" && $(i + 2) ~ /^spill/) spilled += $i
      }
      /Used [0-9]+ registers/ && kernel != "" {
        match($0, /Used [0-9]+/)
        print architecture, substr($0, RSTART + 5, RLENGTH - 5), spilled + 0, kernel
        kernel = ""; spilled = 0
      }' "$log"
  done | c++filt
}

# Most bytes that a kernel may spill: those of the first line of the list whose pattern it matches.
allowance() {
  local most pattern
  while read -r most pattern; do
    case "$most" in '' | '#'*) continue ;; esac
    if [[ $1 =~ $pattern ]]; then echo "$most" && return; fi
  done <"$allowed"
  echo 0
}

if [ -n "$build_log" ]; then cut_build_log "$build_log"; fi
compiled=0
for file in kernels/cuda/*.cu; do
  case $file in */link_*) continue ;; esac  # no kernels there
  for_these=("${architectures[@]}")
  if [ "${file##*/}" = matmul_wgmma.cu ]; then for_these=(90a); fi  # Hopper's own instructions
  for architecture in "${for_these[@]}"; do
    if report_of_build "$file" "$architecture"; then continue; fi
    compiled=$((compiled + 1))
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
    report "$file" "$architecture" &
  done
done
wait
status=0
for failed in "$scratch"/*.failed; do
  if [ -e "$failed" ]; then cat "$failed" && status=1; fi
done

entries=$(cat "$scratch"/*.log | grep -c 'Compiling entry function' || true)
count=0 spilling=0
while read -r architecture registers spilled kernel; do
  count=$((count + 1))
  if [ "$all" = 1 ]; then echo "sm_$architecture $registers registers, $spilled spilled: $kernel"; fi
  if [ "$spilled" = 0 ]; then continue; fi
  spilling=$((spilling + 1))
  if [ "$spilled" -gt "$(allowance "$kernel")" ]; then
    echo "sm_$architecture: $kernel spills $spilled bytes ($registers registers)"
    status=1
  fi
done < <(kernels)
if [ "$count" != "$entries" ]; then
  echo "check_spills: ptxas reports $entries kernels, of which $count can be read" >&2
  status=1
fi
echo "$count kernels for compute capabilities ${architectures[*]}, $spilling of them spill;" \
  "$([ "$status" = 0 ] && echo "as allowed" || echo "not allowed")" \
  "($compiled times compiled for this)"
[ "$status" = 0 ] && [ "$count" -gt 0 ]
