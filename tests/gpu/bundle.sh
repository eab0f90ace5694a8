#!/usr/bin/env bash
# Makes a folder with which llmpq, its tests and its benchmark run on a machine that has a GPU
# driver and CUDA's libraries, but neither Open MPI nor HDF5 nor Boost, and no way to install them.
#   tests/gpu/bundle.sh OUT BUILD [--no-data]     BUILD: a build folder, as of `cmake --preset gpu`
# There:  OUT/run.sh mpirun -n 3 llmpq check      OUT/tests/gpu/run.sh OUT
# --no-data: for where the repository is there too, whose data and scripts are used then.
# The machine's glibc must be as new as this one's. CUDA's libraries are the machine's own.
set -euo pipefail
if [ $# -lt 2 ] || [ $# -gt 3 ] || [ "${3:---no-data}" != --no-data ]; then
  echo "usage: tests/gpu/bundle.sh OUT BUILD [--no-data]" >&2
  exit 2
fi
out=$1 build=$2 root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
most_mib=60

fail() {
  echo "bundle: $*" >&2
  exit 1
}

[ -x "$build/src/llmpq" ] || fail "$build/src/llmpq is not there: build it first"
command -v orterun >/dev/null || fail "there is no Open MPI here to take along"
if [ -e "$out" ]; then
  [ -x "$out/run.sh" ] || fail "$out exists and is no bundle"
  rm -rf "$out"
fi
mkdir -p "$out"/{bin,lib,lib-fallback,mca,pmix,share}

# The libraries that files need, without those that belong to the machine: libc's family, the
# driver's, CUDA's. The C++ runtime is only used where the machine has none.
take_libraries() {
  local name path
  ldd "$@" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | sort -u |
    while read -r name path; do
      case $name in
        libc.so* | libm.so* | libdl.so* | librt.so* | libpthread.so* | libresolv.so*) ;;
        libcuda.so* | libcudart* | libcublas* | libnccl* | libnv*) ;;
        libstdc++.so* | libgcc_s.so*) cp -nL "$path" "$out/lib-fallback/$name" ;;
        *) cp -nL "$path" "$out/lib/$name" ;;
      esac
    done
}

take_programs() {
  local file
  for file in src/llmpq src/libllmpq_cuda.so tests/tests_cuda tests/tests_on_gpu kernels/kernel_bench; do
    if [ -e "$build/$file" ]; then install -m 755 "$build/$file" "$out/bin/"; else
      echo "bundle: $build has no $file; it is left out" >&2
    fi
  done
}

# Open MPI with the plug-ins that one machine, or several over TCP, need; none for fabrics.
take_mpi() {
  local file libraries
  libraries=$(dirname "$(ldconfig -p | awk '/libopen-rte\.so\.40 / { print $NF; exit }')")
  for file in orterun orted; do
    install -m 755 "$(readlink -f "$(command -v "$file")")" "$out/bin/$file"
  done
  ln -s orterun "$out/bin/mpirun"
  for file in "$libraries"/openmpi/lib/openmpi3/mca_*.so; do
    case ${file##*/} in
      *ucx* | *ofi* | *psm* | *verbs* | *openib* | *monitoring* | *flux* | *oshmem* | *memheap*) ;;
      *scoll* | *spml* | *sshmem* | *atomic* | *romio*) ;;
      *) cp -L "$file" "$out/mca/" ;;
    esac
  done
  cp -L "$libraries"/pmix2/lib/pmix/*.so "$out/pmix/"
  cp -rL /usr/share/openmpi "$out/share/openmpi"
  cp -rL "$libraries"/pmix2/share/pmix "$out/share/pmix"
}

take_data() {
  local file
  mkdir -p "$out/data/tiny" "$out/tests/gpu" "$out/tests/layer"
  for file in config.json generation_config.json tokenizer.json tokenizer_config.json \
    model.safetensors heldout.txt; do
    cp "$root/data/tiny/$file" "$out/data/tiny/"
  done
  cp -r "$root/data/prompts.h5" "$root/data/shapes" "$out/data/"
  cp -r "$root/tests/gpu/run.sh" "$root/tests/gpu/sections" "$out/tests/gpu/"
  cp -r "$root/tests/layer/fixtures" "$out/tests/layer/"
}

write_launcher() {
  cat >"$out/run.sh" <<'LAUNCHER'
#!/bin/sh
# run.sh COMMAND ARGUMENTS...: with this bundle's libraries, and CUDA's of this machine.
here=$(cd "$(dirname "$0")" && pwd)
# Where CUDA's libraries are, toolkit or Python wheels, is looked up once.
if [ ! -s "$here/cuda-folders" ]; then
  {
    ls -d "${CUDA_HOME:-/usr/local/cuda}/lib64" 2>/dev/null
    find /usr /opt /root -xdev -type d \( -path '*/nvidia/cu1[23]/lib' \
      -o -path '*/nvidia/cublas/lib' -o -path '*/nvidia/nccl/lib' \) 2>/dev/null
  } >"$here/cuda-folders.$$"
  mv "$here/cuda-folders.$$" "$here/cuda-folders"
fi
cuda=$(sed 's/^/:/' "$here/cuda-folders" | tr -d '\n')
libraries=$here/lib$cuda${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
ldconfig -p 2>/dev/null | grep -q 'libstdc++.so.6 ' || libraries=$libraries:$here/lib-fallback
export LD_LIBRARY_PATH="$libraries" PATH="$here/bin:$PATH"
export OPAL_PREFIX="$here" OPAL_PKGDATADIR="$here/share/openmpi"
export PMIX_INSTALL_PREFIX="$here" PMIX_PKGDATADIR="$here/share/pmix"
export OMPI_MCA_mca_base_component_path="$here/mca"
export PMIX_MCA_mca_base_component_path="$here/pmix" PMIX_MCA_pmix_mca_base_component_path="$here/pmix"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_plm=isolated OMPI_MCA_plm_rsh_agent= OMPI_MCA_btl=self,vader,tcp OMPI_MCA_pml=ob1
exec "$@"
LAUNCHER
  chmod +x "$out/run.sh"
}

write_launcher
take_programs
take_mpi
take_libraries "$out"/bin/* "$out"/mca/*.so "$out"/pmix/*.so
if [ $# = 2 ]; then take_data; fi
find "$out" -type f \( -name '*.so*' -o -path "$out/bin/*" \) -exec strip --strip-unneeded {} + 2>/dev/null || true
size=$(du -sm --apparent-size "$out" | cut -f1)
echo "$out: $size MiB; on the other machine: tests/gpu/run.sh $out"
[ "$size" -le "$most_mib" ] || fail "$size MiB are more than $most_mib: build for fewer architectures" \
  "(-DLLMPQ_CUDA_ARCHITECTURES=90)"
