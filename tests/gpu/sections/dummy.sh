#!/usr/bin/env bash
# Speed of whole steps: shapes of published models with random weights, prefill and decode tokens/s,
# beside what the GPU's memory and cuBLAS would allow (of products or bench, else measured again).
#   LLMPQ_DUMMY_RUNS="SHAPE:FORMAT:RANKS ..."     which runs
#   LLMPQ_DUMMY_LAYERS=N                          so many layers of the shape; 0: all of them
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

layers=${LLMPQ_DUMMY_LAYERS:-0} prompt_tokens=512 new_tokens=64 batch=32
runs=${LLMPQ_DUMMY_RUNS:-}
if [ "$small" = 1 ]; then layers=2 prompt_tokens=24 new_tokens=4 batch=2; fi
if [ -z "$runs" ]; then
  for format in w4 bf16 w8 w3; do runs+=" llama-3.1-8b:$format:1"; done
  runs+=" qwen2.5-14b:w4:1 qwen2.5-14b:bf16:1 llama-3.1-8b:w4:3 qwen2.5-14b:w4:3"
fi
if [ "$small" = 1 ]; then runs="llama-3.1-8b:w4:1 qwen2.5-14b:bf16:3"; fi

# make_prompts: three batches of prompts of random tokens, so that three ranks have one each.
make_prompts() {
  awk -v rows=$((3 * batch)) -v tokens="$prompt_tokens" 'BEGIN {
    x = 1
    for (row = 0; row < rows; ++row) {
      line = ""
      for (i = 0; i < tokens; ++i) { x = x * 75 % 65537; line = line (i ? "," : "") x % 2000 + 5 }
      print "{\"prompt_token_ids\":[" line "]}"
    }
  }' >"$out/dummy_prompts.jsonl"
  check dummy_prompts llmpq 1 convert --input "$out/dummy_prompts.jsonl" \
    --output "$out/dummy_prompts.h5" --overwrite
}

# make_shape SHAPE: its config.json with the layers that are wanted.
make_shape() {
  mkdir -p "$out/shapes/$1"
  local edit=()
  if [ "$layers" != 0 ]; then edit+=(-e "s/\"num_hidden_layers\": [0-9]*/\"num_hidden_layers\": $layers/"); fi
  if [ "$small" = 1 ]; then edit+=(-e 's/"vocab_size": [0-9]*/"vocab_size": 4096/' -e '/_token_id"/d'); fi
  sed "${edit[@]}" -e '' "$data/shapes/$1/config.json" >"$out/shapes/$1/config.json"
}

value() { sed -n "s/.*\"$2\": \([0-9]*\).*/\1/p" "$out/shapes/$1/config.json" | head -n1; }

# rooflines SHAPE FORMAT: tokens/s of prefill and of decode that the limits allow. Decode reads the
# weights, the head and the KV cache once for a batch; prefill multiplies with every weight.
rooflines() {
  awk -v h="$(value "$1" hidden_size)" -v f="$(value "$1" intermediate_size)" \
    -v heads="$(value "$1" num_attention_heads)" -v kv="$(value "$1" num_key_value_heads)" \
    -v layers="$(value "$1" num_hidden_layers)" -v vocab="$(value "$1" vocab_size)" \
    -v format="$2" -v batch="$batch" -v context="$((prompt_tokens + new_tokens / 2))" \
    -v gbps="$copy_gbps" -v tflops="$matmul_tflops" 'BEGIN {
      bytes["bf16"] = 2; bytes["w8"] = 132 / 128; bytes["w4"] = 68 / 128; bytes["w3"] = 52 / 128
      size = h / heads
      weights = layers * (h * (heads + 2 * kv) * size + heads * size * h + 3 * h * f)
      step = weights * bytes[format] + vocab * h * 2 + batch * context * layers * 4 * kv * size
      if (gbps > 0 && tflops > 0)
        printf "%.0f %.0f\n", tflops * 1e12 / (2 * weights), batch / (step / (gbps * 1e9))
      else print "0 0"
    }'
}

# speeds FILE: tokens/s of prefill and decode of a timeline: tokens of a phase over its length.
speeds() {
  awk '$1 ~ /^[0-9.]+$/ && ($5 == "prefill" || $5 == "decode") {
      kind = $5
      if (!(kind in first) || $1 < first[kind]) first[kind] = $1
      if ($2 > last[kind]) last[kind] = $2
      if ($3 == 0) tokens[kind] += $6
    }
    function rate(kind) {
      return last[kind] > first[kind] ? 1000 * tokens[kind] / (last[kind] - first[kind]) : 0
    }
    END { printf "%.0f %.0f\n", rate("prefill"), rate("decode") }' "$1"
}

# one_run SHAPE FORMAT RANKS: a row of the table.
one_run() {
  local shape=$1 format=$2 ranks=$3 name=dummy_$1_$2_$3 began prefill decode most_prefill most_decode
  local flags=()
  if [ "$ranks" -gt 1 ]; then flags=("${share[@]}"); fi
  began=$(now)
  make_shape "$shape"
  check "$name" llmpq "$ranks" generate --model "$out/shapes/$shape" --load-format dummy \
    --backend "$gpu_backend" --format "$format" --prompts "$out/dummy_prompts.h5" \
    --rows "0:$((batch * (ranks > 1 ? 3 : 1)))" --max-tokens "$new_tokens" --ignore-eos \
    --max-model-len $((prompt_tokens + new_tokens)) --prefill-tokens 2048 --decode-batch "$batch" \
    --lanes "$ranks" --mix separated --output "$out/$name.h5" --overwrite \
    --timeline "$out/$name.steps" --log-level info "${flags[@]}" || return 0
  rm -f "$out/$name.h5"
  read -r prefill decode < <(speeds "$out/$name.steps")
  read -r most_prefill most_decode < <(rooflines "$shape" "$format")
  echo "| $shape | $(value "$shape" num_hidden_layers) | $format | $ranks | $prefill |" \
    "$(part "$prefill" "$most_prefill") | $decode | $(part "$decode" "$most_decode") |" \
    "$(sed -n 's/^seconds to load *//p' "$out/$name.log") | $(since "$began") |"
}

limits=$out/products.md
if [ ! -s "$limits" ]; then limits=$out/bench.md; fi
if [ ! -s "$limits" ] && [ "$dry" != 1 ]; then
  LLMPQ_BENCH_DEVICE=cuda LLMPQ_BENCH_FILTER=none start "$(program kernel_bench)" >"$limits"
fi
read -r copy_gbps matmul_tflops < <(sed -n \
  '1s/.*: \([0-9.]*\) GB\/s.*, \([0-9.]*\) TFLOP\/s.*/\1 \2/p' "$limits" 2>/dev/null; echo "0 0")
make_prompts || exit 1
echo "$batch sequences a lane, prompts of $prompt_tokens tokens, $new_tokens new ones; of limit:" \
  "$copy_gbps GB/s and $matmul_tflops TFLOP/s."
echo
echo "| shape | layers | format | ranks | prefill tokens/s | of limit | decode tokens/s | of limit | load s | all s |"
echo "|---|---|---|---|---|---|---|---|---|---|"
for run in $runs; do
  IFS=: read -r shape format ranks <<<"$run"
  one_run "$shape" "$format" "$ranks"
done
exit 0
