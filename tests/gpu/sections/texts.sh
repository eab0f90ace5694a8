# shellcheck shell=bash
# Sourced by the sections that run whole models on the GPU and on the CPU: texts and perplexities, and
# what they have in common.

# generate NAME RANKS FLAGS...: texts of $model for $rows as JSONL lines (without what depends on the
# plan) in NAME.txt.
generate() {
  local name=$1 ranks=$2
  shift 2
  check "$name" llmpq "$ranks" generate --model "$model" --prompts "$data/prompts.h5" \
    --rows "$rows" --max-tokens "$tokens" --temperature 0 --output "$out/$name.h5" --overwrite \
    --log-level warning "$@" || return
  check "$name.convert" llmpq 1 convert --input "$out/$name.h5" \
    --output "$out/$name.jsonl" --overwrite || return
  sed 's/"plan_index":[0-9]*,//' "$out/$name.jsonl" >"$out/$name.txt"
  rm -f "$out/$name.h5" "$out/$name.jsonl"
}

# same A B: the share of equal lines.
same() {
  if [ ! -s "$out/$1.txt" ] || [ ! -s "$out/$2.txt" ]; then echo "-"; return; fi
  part "$(paste -d'\n' "$out/$1.txt" "$out/$2.txt" | awk 'NR % 2 { a = $0; next } a == $0 { ++n } END { print n + 0 }')" \
    "$(wc -l <"$out/$1.txt")"
}

# expect_same A B PERCENT: so many rows of B must be those of A.
expect_same() {
  local share
  share=$(same "$1" "$2")
  if [ "${share% %}" -ge "$3" ] 2>/dev/null; then note "passed $2 like $1"; else
    note "failed $2 like $1: $share of the rows are equal, want $3 %"
  fi
}

# perplexity NAME FLAGS...: of $out/heldout.txt; "-" if it fails.
perplexity() {
  local name=$1
  shift
  check "eval_$name" llmpq 1 eval --model "$model" --text "$out/heldout.txt" --window 512 \
    --stride 256 --json --log-level error "$@"
  grep -o '"perplexity":[0-9.e+-]*' "$out/eval_$name.log" | cut -d: -f2 | grep . || echo "-"
}

# compare NAME CPU GPU PERCENT: a row of a table of perplexities, and whether they are near.
compare() {
  local name=$1 on_cpu=$2 on_gpu=$3 most_percent=$4 difference
  difference=$(awk -v a="$on_gpu" -v b="$on_cpu" 'BEGIN { if (b > 0) printf "%.3f", 100 * (a / b - 1); else print "-" }')
  if awk -v d="$difference" -v most="$most_percent" 'BEGIN { exit !(d != "-" && d <= most && d >= -most) }'; then
    note "passed $name"
  else
    note "failed $name: GPU $on_gpu, CPU $on_cpu: want at most $most_percent % between them"
  fi
  echo "| $name | ${on_cpu:0:7} | ${on_gpu:0:7} | $difference % |"
}
