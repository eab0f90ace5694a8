#!/usr/bin/env bash
# Installs what is missing, builds llmpq, runs the main job on the bundled model and prompts over
# three MPI ranks with mixed bitwidths, and shows what came out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source jobs/setup.sh

install_packages "${program_packages[@]}"
build program
export PATH="$PWD/build/src:$PATH"

echo "== mpirun --oversubscribe -n 3 llmpq generate jobs/quickstart.toml --overwrite"
mkdir -p outputs
mpirun --oversubscribe -n 3 llmpq generate jobs/quickstart.toml --overwrite

echo "== llmpq inspect outputs/quickstart.h5"
llmpq inspect outputs/quickstart.h5
echo "The output is $PWD/outputs/quickstart.h5"
