#!/usr/bin/env bash
# Installs what is missing, builds everything and runs the test suite; the last line is
# `N passed, N failed, N skipped`.
#   tests/run.sh          all but the tests labelled slow
#   tests/run.sh --slow   all, the slow ones too, a minute of each fuzz target, and some CUDA kernels
#                         on an emulated GPU under the sanitizers
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source jobs/setup.sh

case "${1:-}" in
  "") labels=(-LE slow) slow=0 ;;
  --slow) labels=() slow=1 ;;
  *) echo "usage: tests/run.sh [--slow]" >&2; exit 2 ;;
esac

install_packages "${program_packages[@]}" "${test_packages[@]}"
# The tests start a Slurm of their own, which needs root; one that is here already is not touched.
if [ "$(id -u)" = 0 ] && ! command -v sbatch >/dev/null; then
  install_packages "${slurm_packages[@]}"
fi
build tests

report=$PWD/build/tests.xml
rm -f "$report"
echo "== running the tests"
status=0
# Twice as many as there are cores: most tests wait for mpirun. Those about time run alone.
ctest --test-dir build --output-on-failure --parallel $((2 * $(nproc))) "${labels[@]}" \
  --output-junit "$report" </dev/null || status=$?
if [ "$slow" = 1 ]; then
  bash tests/fuzz/run.sh 60 || status=1
  ctest --test-dir build-sanitize --output-on-failure -L emulated || status=1
fi

# The counts stand in the first element of ctest's report.
count() { grep -m1 -o "$1=\"[0-9]*\"" "$report" | head -n1 | grep -o '[0-9]*'; }
total=$(count tests) failed=$(count failures)
skipped=$(($(count skipped) + $(count disabled)))
passed=$((total - failed - skipped))
echo "$passed passed, $failed failed, $skipped skipped"
[ "$status" = 0 ] && [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
