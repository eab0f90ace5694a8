#!/usr/bin/env bash
# Builds the libFuzzer targets and runs each from its committed corpus.
#   tests/fuzz/run.sh SECONDS      seconds for each target
# What a target finds stays in build-sanitize/found/; exit 1 if one did.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source jobs/setup.sh
[ $# -eq 1 ] || { echo "usage: tests/fuzz/run.sh SECONDS" >&2; exit 2; }

install_packages "${program_packages[@]}" "${fuzz_packages[@]}"
build sanitize --target fuzz
found=build-sanitize/found failed=0
for target in build-sanitize/tests/fuzz/fuzz_*; do
  [ -x "$target" ] && [ -f "$target" ] || continue
  name=${target##*/fuzz_}
  mkdir -p "$found/$name"
  if "$target" -max_total_time="$1" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -artifact_prefix="$found/$name-" -print_final_stats=1 "$found/$name" \
    "tests/fuzz/corpus/$name" >"$found/$name.log" 2>&1; then
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$name.log") inputs"
  else
    tail -n 60 "$found/$name.log"
    failed=1
  fi
done
exit "$failed"
