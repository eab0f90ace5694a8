#!/usr/bin/env bash
# What holds the products back, by the hardware's counters (Nsight Compute): one launch of some kernels,
# the largest matrix of Llama 3.1 8B.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [ "$dry" = 1 ]; then note "skipped counters: dry run"; echo "Left out: dry run."; exit 0; fi
ncu=$(command -v ncu || ls "${CUDA_HOME:-/usr/local/cuda}"/bin/ncu 2>/dev/null)
if [ -z "$ncu" ]; then note "skipped counters: there is no ncu"; echo "There is no ncu."; exit 0; fi
binary=$(program kernel_bench) || exit 1
metrics=gpu__time_duration.sum,dram__throughput.avg.pct_of_peak_sustained_elapsed
metrics+=,sm__inst_executed_pipe_alu.avg.pct_of_peak_sustained_active
metrics+=,sm__inst_executed_pipe_fma.avg.pct_of_peak_sustained_active
metrics+=,sm__inst_executed_pipe_tensor.avg.pct_of_peak_sustained_active
metrics+=,sm__inst_issued.avg.pct_of_peak_sustained_active,lts__t_sector_hit_rate.pct
metrics+=,sm__warps_active.avg.pct_of_peak_sustained_active
export LLMPQ_BENCH_DEVICE=cuda

# count KERNEL CASE: the counters of its third launch, as lines of the report.
count() {
  local kernel=$1 case=$2 log status=0
  log=$out/counters_$(echo "$2" | tr -c 'a-z0-9\n' '_').log
  LLMPQ_BENCH_FILTER=$case timeout -k 5 25 "${launcher[@]}" "$ncu" --clock-control none --metrics "$metrics" \
    --section WarpStateStats --kernel-name "regex:$kernel" --launch-skip 2 --launch-count 1 --kill yes \
    "$binary" >"$log" 2>&1 || status=$?
  echo "**$case**"
  echo
  if grep -q 'gpu__time_duration' "$log"; then
    note "passed counters $case"
    grep -E '^ +(gpu__|dram__|sm__|lts__|Warp Cycles|Issued|No Eligible|Stall|OPT|INF|This)' "$log" | sed 's/^ */    /' | cut -c1-200
  else
    note "failed counters $case: exit code $status: $(grep -m1 '==ERROR==' "$log" | cut -c1-200)"
  fi
  echo
}

count few_rows_kernel 'linear w4 up 28672x4096, 1 rows, few-rows-ahead'
count few_rows_kernel 'linear w4 up 28672x4096, 16 rows, few-rows-ahead'
count few_rows_kernel 'linear w3 up 28672x4096, 16 rows, few-rows-ahead'
count wgmma_kernel 'linear w4 up 28672x4096, 512 rows, wgmma-256'
exit 0
