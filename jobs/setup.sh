# Sourced by jobs/quickstart.sh, tests/run.sh and .ci/run: the packages that llmpq needs on Debian
# 12, and how they are installed and the program is built. Stops with a sentence where it cannot.

program_packages=(g++ cmake ninja-build pkg-config openmpi-bin libopenmpi-dev libhdf5-dev
  libboost-log-dev nlohmann-json3-dev libfmt-dev libpcre2-dev libutf8proc-dev
  libxxhash-dev libcli11-dev libhwloc-dev)
test_packages=(libgtest-dev libgmock-dev libboost-context-dev python3 python3-h5py hdf5-tools
  environment-modules)
# A Slurm for the tests of slurm/; tests/run.sh says when.
slurm_packages=(slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge libpmix2 iproute2)
fuzz_packages=(clang-16 libclang-rt-16-dev)
other_cpus_packages=(g++-aarch64-linux-gnu qemu-user)
ci_packages=(clang-format-14 shellcheck python3-pip "${fuzz_packages[@]}" "${other_cpus_packages[@]}")

# The packages among the arguments that are not installed, one a line.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || echo "$package"
  done
}

# install_packages PACKAGE...: installs what is missing, as root or through sudo. Set
# LLMPQ_SKIP_PACKAGES=1 where they are installed in another way.
install_packages() {
  [ "${LLMPQ_SKIP_PACKAGES:-0}" = 1 ] && return
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "There is no apt-get here. Install what these Debian packages hold, then run again with" \
      "LLMPQ_SKIP_PACKAGES=1: $*" >&2
    exit 1
  fi
  local missing as_root=()
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" = 0 ] && return
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "Installing packages needs root or sudo. As root: apt-get install ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "== installing ${missing[*]}"
  as_root+=(env DEBIAN_FRONTEND=noninteractive)
  "${as_root[@]}" apt-get -q update </dev/null
  "${as_root[@]}" apt-get -q -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "${missing[@]}" </dev/null
}

# build PRESET [cmake --build options]: configures and builds one of CMakePresets.json.
build() {
  local preset=$1
  shift
  if command -v ccache >/dev/null; then
    export CMAKE_CXX_COMPILER_LAUNCHER=ccache CMAKE_CUDA_COMPILER_LAUNCHER=ccache
  fi
  echo "== building ($preset)"
  cmake --preset "$preset" --log-level=WARNING
  cmake --build --preset "$preset" --parallel "$(nproc)" "$@"
}

# mpirun refuses root without these, and a container's only user is often root.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
