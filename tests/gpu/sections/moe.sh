#!/usr/bin/env bash
# A mixture of experts with random weights, on the GPU and on the CPU: routing, gathering of rows and
# adding of the experts' outputs, from end to end.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/texts.sh"

model=$out/moe
rows=0:16 tokens=4 text_bytes=20000
if [ "$small" = 1 ]; then rows=0:4 text_bytes=4000; fi

mkdir -p "$model"
cp "$data/tiny/tokenizer.json" "$data/tiny/tokenizer_config.json" "$model/"
cat >"$model/config.json" <<'CONFIG'
{"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_size": 512,
 "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 8,
 "num_key_value_heads": 2, "vocab_size": 2048, "max_position_embeddings": 1024,
 "rms_norm_eps": 1e-05, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 0,
 "tie_word_embeddings": false, "torch_dtype": "bfloat16", "num_local_experts": 8,
 "num_experts_per_tok": 2, "rope_theta": 1000000.0, "sliding_window": null}
CONFIG
head -c "$text_bytes" "$data/tiny/heldout.txt" >"$out/heldout.txt"

echo "| run | CPU | GPU | difference |"
echo "|---|---|---|---|"
for format in bf16 w4; do
  flags=(--load-format dummy --format "$format" --activation-dtype f32)
  compare "moe perplexity $format" "$(perplexity "moe_cpu_$format" "${flags[@]}" --backend cpu)" \
    "$(perplexity "moe_gpu_$format" "${flags[@]}" --backend "$gpu_backend")" 0.2
  generate "moe_cpu_$format" 1 "${flags[@]}" --ignore-eos --backend cpu
  generate "moe_gpu_$format" 1 "${flags[@]}" --ignore-eos --backend "$gpu_backend"
  generate "moe_gpu2_$format" 2 "${flags[@]}" --ignore-eos --backend "$gpu_backend" "${share[@]}"
done
echo
echo "Texts of random weights, $tokens tokens, f32 inputs of products; equal rows: bf16" \
  "$(same moe_cpu_bf16 moe_gpu_bf16), w4 $(same moe_cpu_w4 moe_gpu_w4); 2 ranks and 1:" \
  "$(same moe_gpu_bf16 moe_gpu2_bf16), $(same moe_gpu_w4 moe_gpu2_w4)."
# The GPU's own way of cutting must not show where a rank more does the same.
expect_same moe_gpu_w4 moe_gpu2_w4 50
exit 0
