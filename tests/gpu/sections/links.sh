#!/usr/bin/env bash
# Two ranks that share the GPU, with each --link: through host memory by default and by wish, the same
# texts; NCCL needs a GPU for each, and without --share-gpu they are refused: a sentence, and its
# exit code.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/texts.sh"

model=$data/tiny
rows=0:32 tokens=16
if [ "$small" = 1 ]; then rows=0:4 tokens=4; fi
# Steps of up to 64 rows: then it cannot show how the work was cut.
cut=(--format w4 --backend "$gpu_backend" --prefill-tokens 64 --decode-batch 32 --mix separated)
flags=("${cut[@]}" --layers-per-stage 4,4 --strategy manual "${share[@]}")

# refused NAME CODE WORDS FLAGS...: two ranks must end with that exit code and say that.
refused() {
  local name=$1 code=$2 words=$3 status=0
  shift 3
  llmpq 2 generate --model "$model" --prompts "$data/prompts.h5" --rows "$rows" --max-tokens 4 \
    --output "$out/refused.h5" --overwrite "$@" >"$out/$name.log" 2>&1 || status=$?
  rm -f "$out/refused.h5"
  if [ "$status" = "$code" ] && grep -q -e "$words" "$out/$name.log"; then note "passed $name"; else
    note "failed $name: exit code $status, want $code and a word of $words"
  fi
  echo "- \`$*\`: exit code $status: $(grep -h -m1 'error' "$out/$name.log" | cut -c1-200)"
}

generate links_alone 1 "${cut[@]}"
for link in auto mpi; do
  generate "links_$link" 2 "${flags[@]}" --link "$link" --log-level info
  expect_same links_alone "links_$link" 100
  echo "- \`--link $link\`, 2 ranks: $(same links_alone "links_$link") of the rows are those of 1 rank;" \
    "$(grep -h -m1 'activations travel' "$out/links_$link.log" | cut -c1-200)"
done
refused links_nccl 2 'link nccl' "${flags[@]}" --link nccl
if [ "$dry" != 1 ]; then refused links_unshared 7 'share-gpu' --backend cuda; fi
exit 0
