#!/usr/bin/env bash
# Builds the libFuzzer targets and runs each from files that are committed.
#   tests/fuzz/run.sh SECONDS      seconds for each target
# What a target finds stays in build-sanitize/found/; exit 1 if one did.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source jobs/setup.sh
[ $# -eq 1 ] || { echo "usage: tests/fuzz/run.sh SECONDS" >&2; exit 2; }

install_packages "${program_packages[@]}" "${fuzz_packages[@]}"
build sanitize --target fuzz
export found=build-sanitize/found seconds=$1

# fuzz_one TARGET: from corpus/NAME, or from the files of that kind that data/ has anyway.
fuzz_one() {
  local target=$1 name=${1##*/fuzz_} corpus
  corpus=tests/fuzz/corpus/$name
  if [ ! -d "$corpus" ]; then corpus=data/${name}s; fi
  mkdir -p "$found/$name"
  if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -artifact_prefix="$found/$name-" -print_final_stats=1 "$found/$name" "$corpus" \
    >"$found/$name.log" 2>&1; then
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$name.log") inputs"
  else
    tail -n 60 "$found/$name.log"
    return 1
  fi
}
export -f fuzz_one

# shellcheck disable=SC2016  # the inner bash expands $1
find build-sanitize/tests/fuzz -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x -print0 | sort -z |
  xargs -0 -P "$(nproc)" -I{} bash -c 'fuzz_one "$1"' fuzz_one {}
