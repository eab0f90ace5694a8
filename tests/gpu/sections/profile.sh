#!/usr/bin/env bash
# What the profiler and the sensitivity indicator make of the GPU: kernels chosen by timing, kept in
# the profile and taken from it, the same texts with them and without; the indicator beside the
# CPU's; and the choice for the shapes of Llama 3.1 8B.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/texts.sh"

model=$data/tiny
rows=0:32 tokens=16 text_bytes=20000 seconds=4 shape_seconds=24
if [ "$small" = 1 ]; then rows=0:4 tokens=4 text_bytes=4000 seconds=1 shape_seconds=0; fi
if [ "$emulated" = 1 ]; then seconds=45; fi  # with less there is no time to choose kernels
cache=(--profile-cache "$out/profile-cache" --backend "$gpu_backend")

# profile NAME FLAGS...: its table goes into the report.
profile() {
  local name=$1
  shift
  check "$name" llmpq 1 profile "${cache[@]}" "$@" || return
  echo "\`llmpq profile\`, $name:"
  echo
  grep -v ' debug ' "$out/$name.log" | sed 's/^/    /' | head -n 60
  echo
}

# expect NAME COMMAND...: notes whether it succeeds.
expect() {
  local name=$1
  shift
  if "$@"; then note "passed $name"; else note "failed $name"; fi
}

# chosen FILE: whether the profile tells of kernels. A CPU has no choice.
chosen() { [ "$dry" = 1 ] || grep -q '"kernel"' "$1"; }

profile profile_tiny --model "$model" --profile-seconds "$seconds" --save-profile "$out/tiny.profile.json"
expect "profile_tiny has kernels" chosen "$out/tiny.profile.json"
profile profile_again --model "$model" --profile-seconds "$seconds" --save-profile "$out/again.profile.json"
expect "profile_again is the one that was kept" cmp -s "$out/tiny.profile.json" "$out/again.profile.json"

for kernels in measured usual; do
  generate "profile_$kernels" 1 --format w4 --backend "$gpu_backend" --gpu-kernels "$kernels" \
    --profile "$out/tiny.profile.json" --prefill-tokens 64 --decode-batch 32 --mix separated
done
# Steps of up to 64 rows give the same bits by any kernel that may be chosen.
expect_same profile_measured profile_usual 100
echo "Texts with \`--gpu-kernels measured\` and \`usual\`, steps of up to 64 rows:" \
  "$(same profile_measured profile_usual) of the rows are equal."
echo

# omega FILE: the numbers of layers and formats, one a line.
omega() { grep -o '"omega":{[^}]*}' "$1" | grep -o '[0-9][0-9.e+-]*[],]' | tr -d '],'; }

head -c "$text_bytes" "$model/heldout.txt" >"$out/sensitivity.txt"
for backend in cpu "$gpu_backend"; do
  rm -f "$out/sensitivity_$backend.h5"
  check "sensitivity_$backend" llmpq 1 sensitivity --model "$model" --text "$out/sensitivity.txt" \
    --calibration-runs 6 --json --log-level error --backend "$backend" \
    --save-sensitivity "$out/sensitivity_$backend.h5"
  omega "$out/sensitivity_$backend.log" >"$out/omega_$backend.txt"
done
worst=$(paste "$out/omega_cpu.txt" "$out/omega_$gpu_backend.txt" | awk '
  $1 > 0 { d = $2 / $1 - 1; if (d < 0) d = -d; if (d > worst) worst = d; ++n }
  END { if (n > 0) printf "%.2f", 100 * worst; else print "-" }')
echo "Sensitivity: omega of $(wc -l <"$out/omega_cpu.txt") layers and formats; the GPU's are at most $worst % off the CPU's."
echo
# Both look at the same text; activations differ by the rounding of products to 16 bit.
expect "sensitivity omega within 5 % of the CPU's (worst: $worst %)" \
  awk -v worst="$worst" 'BEGIN { exit !(worst != "-" && worst <= 5) }'

if [ "$shape_seconds" -gt 0 ]; then
  for format in w4 w8 w3; do
    profile "profile_8b_$format" --model "$data/shapes/llama-3.1-8b" --load-format dummy \
      --format "$format" --profile-seconds $((shape_seconds / 3)) --log-level debug \
      --save-profile "$out/8b_$format.profile.json"
  done
fi
exit 0
