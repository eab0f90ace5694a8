#!/usr/bin/env bash
# Compiles the CPU's kernels for a processor that none were written for (aarch64), and proves that
# the plain ones give there, run by qemu, the same bits as those of this machine's build.
#   tests/other_cpus.sh [BUILD]      a build with tests; build/ by default
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=$(realpath "${1:-build}")
if [ ! -x "$build/tests/kernel_bits" ]; then
  echo "There is no $build/tests/kernel_bits: build the tests first, or name their folder." >&2
  exit 2
fi
work=$build/other_cpus
rm -rf "$work"
mkdir -p "$work/include"
# Libraries whose headers are the same for every processor; not all of /usr/include is.
for library in fmt gtest; do ln -s "/usr/include/$library" "$work/include/$library"; done

compiler=(aarch64-linux-gnu-g++)
if command -v ccache >/dev/null; then compiler=(ccache "${compiler[@]}"); fi
# As in CMakeLists.txt, but for the level of optimization.
flags=(-std=c++20 -O2 -Wall -Wextra -Werror -Wno-restrict -ffp-contract=off
  -DFMT_HEADER_ONLY -I "$PWD" -I "$PWD/tests" -isystem "$work/include")

# compile FOLDER SOURCE...: to objects in a folder of their own.
compile() {
  mkdir -p "$work/$1"
  (cd "$work/$1" && printf '%s\n' "${@:2}" |
    xargs -P "$(nproc)" -n1 "${compiler[@]}" "${flags[@]}" -c)
}

mapfile -t of_cpus < <(find "$PWD/kernels/cpu" -name '*.cpp' |
  grep -vE '_(x86|avx2|avx512|avx512_bf16|amx)\.cpp$')
compile cpu "${of_cpus[@]}" "$PWD/tests/kernels/bits_main.cpp"
compile kernels "$PWD"/kernels/*.cpp
aarch64-linux-gnu-g++ -static "$work"/*/*.o -o "$work/kernel_bits"
# The program reserves addresses by the TiB, for each page of which qemu would take memory.
(ulimit -v 4000000 && qemu-aarch64 "$work/kernel_bits" >"$work/there.txt")
"$build/tests/kernel_bits" >"$work/here.txt"
diff "$work/here.txt" "$work/there.txt"
echo "$(wc -l <"$work/here.txt") results have the same bits on aarch64"
