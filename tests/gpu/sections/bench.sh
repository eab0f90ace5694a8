#!/usr/bin/env bash
# The speed of all other kernels, beside what the GPU reaches with a copy and with cuBLAS.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/benches.sh"

bench bench -linear 45
exit 0
