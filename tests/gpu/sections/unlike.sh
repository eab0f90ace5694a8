#!/usr/bin/env bash
# One rank for each GPU that there is, unlike ones best: texts beside the CPU's over every --link that
# they have, and 16-bit layers that the oldest of them multiplies. Emulated: an H100 and a T4.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/texts.sh"

model=$data/tiny
rows=0:32 tokens=16 seconds=10
if [ "$small" = 1 ]; then rows=0:4 tokens=4; fi
if [ "$emulated" = 1 ]; then
  export LLMPQ_EMULATED_GPU=90,75 LLMPQ_NEW_GPUS=$LLMPQ_CUDA_MODULE
  export LLMPQ_OLD_GPUS=$dir/tests/emulated_gpu/libllmpq_cuda_emulated_75.so
  gpus=$([ -e "$LLMPQ_OLD_GPUS" ] && echo 2)
  # Code for both in one module cannot be emulated: rank 1 has a module of its own.
  launcher=("$out/with_module.sh")
  cat >"$out/with_module.sh" <<'SCRIPT'
#!/usr/bin/env bash
if [ "$1" = mpirun ]; then exec "${@:1:3}" "$0" "${@:4}"; fi
LLMPQ_CUDA_MODULE=$LLMPQ_NEW_GPUS
if [ "${OMPI_COMM_WORLD_RANK:-0}" = 1 ]; then LLMPQ_CUDA_MODULE=$LLMPQ_OLD_GPUS; fi
exec "$@"
SCRIPT
  chmod +x "$out/with_module.sh"
else
  gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ')
fi
if [ "${gpus:-0}" -lt 2 ]; then
  note "skipped unlike: want two GPUs or more, or llmpq_cuda_emulated_75 built"
  echo "Left out: there are not two GPUs."
  exit 0
fi

backends=cuda
for ((rank = 1; rank < gpus; ++rank)); do backends=$backends,cuda; done
check unlike_check llmpq "$gpus" check --model "$model" --backend "$backends"
sed 's/^/    /' "$out/unlike_check.log"
echo
for format in f16 w4; do
  common=(--format "$format" --activation-dtype bf16)
  generate "unlike_cpu_$format" 1 "${common[@]}" --backend cpu
  for link in auto mpi; do
    generate "unlike_${link}_$format" "$gpus" "${common[@]}" --backend "$backends" --link "$link" \
      --strategy uniform --log-level info
    expect_same "unlike_cpu_$format" "unlike_${link}_$format" 50
    echo "- $format, \`--link $link\`: $(same "unlike_cpu_$format" "unlike_${link}_$format") of the" \
      "rows are the CPU's; $(grep -h -m1 'activations travel' "$out/unlike_${link}_$format.log" | cut -c1-200)"
  done
done
check unlike_profile llmpq "$gpus" profile --model "$model" --backend "$backends" --gpu-kernels usual \
  --profile-seconds "$seconds" --profile-cache "$out/unlike-cache" --save-profile "$out/unlike.json"
check unlike_plan llmpq "$gpus" plan --model "$model" --prompts "$data/prompts.h5" --backend "$backends" \
  --gpu-kernels usual --profile "$out/unlike.json" --json
echo
echo "Formats of the layers in the plan by their times:" \
  "$(grep -o '"[a-z]*[0-9]*"' "$out/unlike_plan.log" | grep -e '"bf16"' -e '"f16"' -e '"w[348]"' | sort | uniq -c | xargs)"
# All of it fits in 16 bit, whatever they are called: nobody asked for fewer.
if grep -q '"w[348]"' "$out/unlike_plan.log"; then note "failed unlike plan has integers"; else
  note "passed unlike plan is in 16 bit"
fi
exit 0
