#!/bin/bash
# Runs a command as one task of a step on cores of its own: srun bind.sh COMMAND...
# llmpq binds a rank to its GPU and the cores near it by itself, and Slurm may bind tasks to cores.
# Where neither does (ranks on CPUs, no task/affinity), the tasks of a node wander over the same
# cores and away from their memory: here each gets an even part of them, neighbours together.
#   LLMPQ_ONE_GPU=1   also lets the task see one GPU only, that of its place on the node
set -euo pipefail

# "4-6,9" as one number a line.
numbers() {
  local part i
  for part in ${1//,/ }; do
    for ((i = ${part%-*}; i <= ${part#*-}; ++i)); do echo "$i"; done
  done
}

# The CPUs that this task may run on, hardware threads of a core and cores of a memory node together.
cpus_in_order() {
  local allowed
  allowed=$(numbers "$(awk '/^Cpus_allowed_list/ {print $2}' /proc/self/status)")
  lscpu --parse=NODE,CORE,CPU | grep -v '^#' | sort -t, -k1,1n -k2,2n -k3,3n | cut -d, -f3 |
    grep -Fxf <(echo "$allowed")
}

# Tasks of this step on this node. SLURM_STEP_TASKS_PER_NODE is a list such as 2(x3),1.
tasks_on_node() {
  local part node=$SLURM_NODEID count
  for part in ${SLURM_STEP_TASKS_PER_NODE//,/ }; do
    count=1
    if [[ $part =~ ^([0-9]+)\(x([0-9]+)\)$ ]]; then part=${BASH_REMATCH[1]} count=${BASH_REMATCH[2]}; fi
    if [ "$node" -lt "$count" ]; then echo "$part"; return; fi
    node=$((node - count))
  done
  echo 1
}

if [ -n "${SLURM_LOCALID:-}" ] && [ -n "${SLURM_STEP_TASKS_PER_NODE:-}" ]; then
  tasks=$(tasks_on_node)
  if [ "${LLMPQ_ONE_GPU:-0}" = 1 ] && [[ ${CUDA_VISIBLE_DEVICES:-} == *,* ]]; then
    IFS=, read -ra gpus <<<"$CUDA_VISIBLE_DEVICES"
    export CUDA_VISIBLE_DEVICES=${gpus[SLURM_LOCALID % ${#gpus[@]}]}
  fi
  # SLURM_CPU_BIND_LIST: Slurm has bound the task. CUDA_VISIBLE_DEVICES: llmpq will.
  if [ "$tasks" -gt 1 ] && [ -z "${SLURM_CPU_BIND_LIST:-}" ] && [ -z "${CUDA_VISIBLE_DEVICES:-}" ]; then
    mapfile -t cpus < <(cpus_in_order)
    first=$((SLURM_LOCALID * ${#cpus[@]} / tasks)) end=$(((SLURM_LOCALID + 1) * ${#cpus[@]} / tasks))
    if [ "$end" -gt "$first" ]; then
      list=$(IFS=,; echo "${cpus[*]:first:end - first}")
      echo "bind.sh: task ${SLURM_PROCID:-?} on $(hostname): CPUs $list" >&2
      exec taskset --cpu-list "$list" "$@"
    fi
  fi
fi
exec "$@"
