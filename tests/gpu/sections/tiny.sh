#!/usr/bin/env bash
# The bundled model from end to end: the GPU's texts beside the CPU's, on one rank, on three that
# share the GPU, and on a GPU and a CPU together; and each format's perplexity on both.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

model=$data/tiny
rows=0:64 tokens=32 text_bytes=60000 most_percent=0.5
if [ "$dry" = 1 ]; then rows=0:8 tokens=8 text_bytes=8000; fi
mixed=$gpu_backend,cpu

# generate NAME RANKS FLAGS...: texts as JSONL lines (without what depends on the plan) in NAME.txt.
generate() {
  local name=$1 ranks=$2
  shift 2
  check "tiny_$name" llmpq "$ranks" generate --model "$model" --prompts "$data/prompts.h5" \
    --rows "$rows" --max-tokens "$tokens" --temperature 0 --output "$out/$name.h5" --overwrite \
    --log-level warning "$@" || return
  check "tiny_$name.convert" llmpq 1 convert --input "$out/$name.h5" \
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

# Most rows must be those of the CPU where the inputs of products are rounded alike.
expect_most() {
  local share
  share=$(same "$1" "$2")
  if [ "${share% %}" -ge 50 ] 2>/dev/null; then note "passed tiny $2 like $1"; else
    note "failed tiny $2 like $1: $share of the rows are equal, want 50 %"
  fi
}

echo "Texts of rows $rows, $tokens tokens, greedy, inputs of products in bf16 on both; equal rows:"
echo
echo "| format | GPU, 1 rank, and CPU | GPU, 3 ranks, and CPU | GPU, 3 ranks and 1 | GPU + CPU, 2 ranks, and CPU |"
echo "|---|---|---|---|---|"
for format in bf16 w4; do
  common=(--format "$format" --activation-dtype bf16)
  generate "cpu_$format" 1 "${common[@]}" --backend cpu
  generate "gpu_$format" 1 "${common[@]}" --backend "$gpu_backend"
  generate "gpu3_$format" 3 "${common[@]}" --backend "$gpu_backend" "${share[@]}"
  generate "mixed_$format" 2 "${common[@]}" --backend "$mixed"
  for name in gpu gpu3 mixed; do expect_most "cpu_$format" "${name}_$format"; done
  echo "| $format | $(same "cpu_$format" "gpu_$format") | $(same "cpu_$format" "gpu3_$format") |" \
    "$(same "gpu_$format" "gpu3_$format") | $(same "cpu_$format" "mixed_$format") |"
done

# Each of three ranks on a part of the SMs and of the memory: another plan, the same texts.
if [ "$dry" != 1 ]; then
  generate part_w4 3 --format w4 --activation-dtype bf16 --backend cuda "${share[@]}" \
    --emulate sms=40,memory=6GiB
  expect_most gpu_w4 part_w4
  echo
  echo "With \`--emulate sms=40,memory=6GiB\` on each of 3 ranks: $(same gpu_w4 part_w4) of the rows are those of 1 rank."
  # Two ranks on one GPU are refused unless they are told to share.
  status=0
  llmpq 2 generate --model "$model" --prompts "$data/prompts.h5" --output "$out/refused.h5" \
    --backend cuda >"$out/refused.log" 2>&1 || status=$?
  if [ "$status" = 7 ] && grep -q 'share-gpu' "$out/refused.log"; then note "passed tiny two ranks refused"; else
    note "failed tiny two ranks refused: exit code $status, want 7 and a word of --share-gpu"
  fi
fi

# perplexity NAME FLAGS...: of the beginning of the held-out text; "-" if it fails.
perplexity() {
  local name=$1
  shift
  check "tiny_eval_$name" llmpq 1 eval --model "$model" --text "$out/heldout.txt" --window 512 \
    --stride 256 --json --log-level error "$@"
  grep -o '"perplexity":[0-9.e+-]*' "$out/tiny_eval_$name.log" | cut -d: -f2 | grep . || echo "-"
}

head -c "$text_bytes" "$model/heldout.txt" >"$out/heldout.txt"
echo
echo "Perplexity on the first $text_bytes bytes of the held-out text, each device's own rounding:"
echo
echo "| format | CPU | GPU | difference |"
echo "|---|---|---|---|"
for format in bf16 f16 w8 w4 w3; do
  on_cpu=$(perplexity "cpu_$format" --format "$format" --backend cpu)
  on_gpu=$(perplexity "gpu_$format" --format "$format" --backend "$gpu_backend")
  difference=$(awk -v a="$on_gpu" -v b="$on_cpu" 'BEGIN { if (b > 0) printf "%.3f", 100 * (a / b - 1); else print "-" }')
  if awk -v d="$difference" -v most="$most_percent" 'BEGIN { exit !(d != "-" && d <= most && d >= -most) }'; then
    note "passed tiny perplexity $format"
  else
    note "failed tiny perplexity $format: GPU $on_gpu, CPU $on_cpu: want at most $most_percent % between them"
  fi
  echo "| $format | ${on_cpu:0:7} | ${on_gpu:0:7} | $difference % |"
done
exit 0
