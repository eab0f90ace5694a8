#!/usr/bin/env bash
# The bundled model from end to end: the GPU's texts beside the CPU's, on one rank, on three that
# share the GPU, and on a GPU and a CPU together; and each format's perplexity on both.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/texts.sh"

model=$data/tiny
rows=0:64 tokens=32 text_bytes=60000
if [ "$small" = 1 ]; then rows=0:8 tokens=8 text_bytes=8000; fi
mixed=$gpu_backend,cpu

echo "Texts of rows $rows, $tokens tokens, greedy, inputs of products in bf16 on both; equal rows:"
echo
echo "| format | GPU, 1 rank, and CPU | GPU, 3 ranks, and CPU | GPU, 3 ranks and 1 | GPU + CPU, 2 ranks, and CPU |"
echo "|---|---|---|---|---|"
for format in bf16 w4; do
  common=(--format "$format" --activation-dtype bf16)
  generate "tiny_cpu_$format" 1 "${common[@]}" --backend cpu
  generate "tiny_gpu_$format" 1 "${common[@]}" --backend "$gpu_backend"
  generate "tiny_gpu3_$format" 3 "${common[@]}" --backend "$gpu_backend" "${share[@]}"
  generate "tiny_mixed_$format" 2 "${common[@]}" --backend "$mixed"
  for name in gpu gpu3 mixed; do expect_same "tiny_cpu_$format" "tiny_${name}_$format" 50; done
  echo "| $format | $(same "tiny_cpu_$format" "tiny_gpu_$format") |" \
    "$(same "tiny_cpu_$format" "tiny_gpu3_$format") | $(same "tiny_gpu_$format" "tiny_gpu3_$format") |" \
    "$(same "tiny_cpu_$format" "tiny_mixed_$format") |"
done

# Each of three ranks on a part of the SMs and of the memory: another plan, the same texts.
part=sms=40,memory=6GiB
if [ "$emulated" = 1 ]; then part=sms=8,memory=2GiB; fi
if [ "$dry" != 1 ]; then
  generate tiny_part_w4 3 --format w4 --activation-dtype bf16 --backend cuda "${share[@]}" \
    --emulate "$part"
  expect_same tiny_gpu_w4 tiny_part_w4 50
  echo
  echo "With \`--emulate $part\` on each of 3 ranks: $(same tiny_gpu_w4 tiny_part_w4) of the rows are those of 1 rank."
fi

head -c "$text_bytes" "$model/heldout.txt" >"$out/heldout.txt"
echo
echo "Perplexity on the first $text_bytes bytes of the held-out text, each device's own rounding:"
echo
echo "| run | CPU | GPU | difference |"
echo "|---|---|---|---|"
for format in bf16 f16 w8 w4 w3; do
  compare "tiny perplexity $format" "$(perplexity "tiny_cpu_$format" --format "$format" --backend cpu)" \
    "$(perplexity "tiny_gpu_$format" --format "$format" --backend "$gpu_backend")" 0.5
done
compare "tiny perplexity w4, int8 cache" \
  "$(perplexity tiny_cpu_kv8 --format w4 --kv-cache-dtype int8 --backend cpu)" \
  "$(perplexity tiny_gpu_kv8 --format w4 --kv-cache-dtype int8 --backend "$gpu_backend")" 0.5
exit 0
