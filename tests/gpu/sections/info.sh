#!/usr/bin/env bash
# The machine, its GPUs, and what llmpq sees of them.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

uname -srm | sed 's/^/- /'
echo "- $(grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //'), $(nproc) CPUs," \
  "$(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
echo "- libc $(ldd --version | sed -n '1s/.* //p')," \
  "nvcc $(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\),.*/\1/p' | grep . || echo none)"
echo
if command -v nvidia-smi >/dev/null; then
  echo "| GPU | driver | memory | free | power limit | SM clock | memory clock |"
  echo "|---|---|---|---|---|---|---|"
  nvidia-smi --format=csv,noheader --query-gpu=name,driver_version,memory.total,memory.free,power.limit,clocks.max.sm,clocks.max.mem |
    sed 's/, / | /g; s/^/| /; s/$/ |/'
else
  echo "There is no nvidia-smi."
fi
echo
check info_check llmpq 1 check --backend "$gpu_backend"
sed 's/^/    /' "$out/info_check.log" | head -n 40
exit 0
