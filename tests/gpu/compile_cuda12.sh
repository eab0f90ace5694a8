#!/usr/bin/env bash
# Compiles every kernels/cuda/*.cu for the GPUs that CUDA 13 has dropped (P100: 60, V100: 70),
# against CUDA 12's headers and with its assembler; nothing is linked or run. Warnings are errors.
#   tests/gpu/compile_cuda12.sh [COMPUTE_CAPABILITY ...]     default: 60 70
#   tests/gpu/compile_cuda12.sh --fetch                      only fetches what is missing
# CUDA12_HOME names a CUDA 12 toolkit, whose nvcc is used then. Without it clang++-16 (or $CLANGXX)
# compiles, and headers and ptxas are Python wheels that pip fetches once into
# ${XDG_CACHE_HOME:-~/.cache}/llmpq-cuda12 (there is no wheel with nvcc 12 itself).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

wheels=(nvidia-cuda-nvcc-cu12==12.4.131 nvidia-cuda-runtime-cu12==12.4.127
  nvidia-cuda-cccl-cu12==12.4.127.post1 nvidia-cublas-cu12==12.4.5.8)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/llmpq-cuda12
clang=${CLANGXX:-clang++-16}
architectures=("$@")
[ $# -gt 0 ] || architectures=(60 70)

fail() {
  echo "compile_cuda12: $*" >&2
  exit 1
}

# The wheels as one folder that looks like a toolkit; it gets its name only when it is complete.
install_wheels() {
  [ -x "$cache/bin/ptxas" ] && return
  python3 -m pip --version >/dev/null 2>&1 || fail \
    "no CUDA 12: set CUDA12_HOME to a toolkit's folder, or install python3-pip"
  local new=$cache.$$ part
  echo "== fetching CUDA 12's headers and assembler into $cache"
  mkdir -p "$new"
  python3 -m pip install --quiet --no-deps --root-user-action=ignore --target "$new/wheels" \
    "${wheels[@]}" || fail \
    "pip could not fetch ${wheels[*]}; set CUDA12_HOME to the folder of a CUDA 12 toolkit"
  mkdir "$new/include"
  for part in cuda_runtime cuda_cccl cublas cuda_nvcc; do
    cp -r "$new/wheels/nvidia/$part/include/." "$new/include/"
  done
  mv "$new/wheels/nvidia/cuda_nvcc/bin" "$new/wheels/nvidia/cuda_nvcc/nvvm" "$new"
  rm -rf "$new/wheels" "$cache"
  mv -T "$new" "$cache"
}

# Sets compiler, an array that a file, -o and an output are added to, and version, for people.
find_compiler() {
  if [ -n "${CUDA12_HOME:-}" ]; then
    [ -x "$CUDA12_HOME/bin/nvcc" ] || fail "CUDA12_HOME: $CUDA12_HOME/bin/nvcc is not there"
    version=$("$CUDA12_HOME/bin/nvcc" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
    [[ $version == 12.* ]] || fail "CUDA12_HOME: nvcc is of CUDA ${version:-?}, want 12.x"
    version="nvcc $version"
    compiler=("$CUDA12_HOME/bin/nvcc" -Werror all-warnings -Xcompiler=-Wall,-Wextra,-Werror)
    return
  fi
  command -v "$clang" >/dev/null || fail \
    "neither CUDA12_HOME nor $clang: install clang-16, or set CUDA12_HOME to a CUDA 12 toolkit"
  install_wheels
  version="$clang with CUDA 12.4's headers and ptxas"
  compiler=("$clang" -x cuda "--cuda-path=$cache" -isystem "$cache/include" --cuda-device-only
    -include tests/gpu/clang_cuda.cuh -Wall -Wextra -Werror -Wno-unknown-cuda-version)
  # Of these nvcc says nothing, and its word is what counts.
  compiler+=(-Wno-unused-parameter -Wno-unused-command-line-argument -Wno-pass-failed)
}

# compile FILE ARCHITECTURE: to an object that is thrown away.
compile() {
  local file=$1 architecture=$2 result=$scratch/${1##*/}.$2 target
  target=-arch=sm_$architecture
  if [ -z "${CUDA12_HOME:-}" ]; then target=--cuda-gpu-arch=sm_$architecture; fi
  if "${compiler[@]}" "$target" -std=c++20 -O3 -I . \
    -DLLMPQ_CUDA_ARCHITECTURES="\"${architectures[*]}\"" -c "$file" -o "$result.o" \
    >"$result.log" 2>&1; then
    touch "$result.passed"
  else
    echo "== $file: does not compile for $architecture"
    cat "$result.log"
  fi
}

find_compiler
if [ "${architectures[0]}" = --fetch ]; then exit; fi
files=(kernels/cuda/*.cu)
[ -e "${files[0]}" ] || fail "there is no kernels/cuda/*.cu"
# Hopper's own instructions are for no other chip; links through NCCL are left out where its header is not there, as in the build.
nccl=0
for folder in /usr /usr/local "${CUDA12_HOME:-}" "${NCCL_HOME:-}"; do
  if [ -e "$folder/include/nccl.h" ]; then nccl=1; fi
done
if [ "$nccl" = 0 ]; then
  mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -v link_nccl)
fi
# Names for profilers have no device code, and their header comes in a wheel of its own.
mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -v -e 'matmul_wgmma\.cu$' -e marks_nvtx)
scratch=$(mktemp -d)
export TMPDIR=$scratch
trap 'rm -rf "$scratch"' EXIT
began=$SECONDS
for file in "${files[@]}"; do
  for architecture in "${architectures[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
    compile "$file" "$architecture" &
  done
done
wait
passed=$(find "$scratch" -name '*.passed' | wc -l)
wanted=$((${#files[@]} * ${#architectures[@]}))
echo "CUDA 12, ${#files[@]} files for compute capabilities ${architectures[*]}:" \
  "$passed of $wanted compile ($version; $((SECONDS - began)) s)"
[ "$passed" = "$wanted" ]
