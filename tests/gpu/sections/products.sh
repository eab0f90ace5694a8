#!/usr/bin/env bash
# The speed of products by each of their kernels: what the profiler chooses among.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/benches.sh"

bench products linear 90
# The fastest kernel of each case, and all of them: the usual one comes first.
awk -F'|' '/^\| linear w.* rows, / {
    name = $2; sub(/^ */, "", name); sub(/, [a-z0-9-]* *$/, "", name)
    kernel = $2; sub(/.* rows, /, "", kernel); sub(/ *$/, "", kernel)
    if (!(name in best)) order[++count] = name
    if (!(name in best) || $3 + 0 < best[name]) { best[name] = $3 + 0; by[name] = kernel }
    all[name] = all[name] " " kernel " " $3
  }
  END {
    if (count) print "\n| case | fastest | us | all, us |\n|---|---|---|---|"
    for (i = 1; i <= count; ++i) print "| " order[i] " | " by[order[i]] " | " best[order[i]] " |" all[order[i]] " |"
  }' "$out/products.md"
exit 0
