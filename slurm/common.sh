# shellcheck shell=bash
# What the scripts beside it have in common. Sourced by them, inside a job, on its first node.

slurm_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
llmpq=           # the program
rows_before=     # rows that were done when this run began; empty where that is not known

say() { echo "llmpq-slurm: $*" >&2; }

# The program: $LLMPQ, else beside these scripts in a build tree or an installation, else on PATH.
find_program() {
  local candidate
  if [ -n "${LLMPQ:-}" ] && ! command -v "$LLMPQ" >/dev/null; then
    say "LLMPQ=$LLMPQ is no program on $(hostname)"
    exit 2
  fi
  for candidate in "${LLMPQ:-}" "$slurm_folder/llmpq" "$slurm_folder/../build/src/llmpq" \
    "$slurm_folder/../bin/llmpq" "$slurm_folder/../../../bin/llmpq" llmpq; do
    if llmpq=$(command -v "$candidate"); then
      llmpq=$(realpath "$llmpq")
      return
    fi
  done
  say "there is no llmpq near $slurm_folder or on PATH: build it there, or set LLMPQ=/path/to/llmpq"
  exit 2
}

# How srun starts MPI: as the site or $SLURM_MPI_TYPE says, but PMIx where Slurm has it and nobody
# has said anything. Open MPI needs it, and without it every rank would be alone in its own world.
choose_mpi() {
  if [ -z "${SLURM_MPI_TYPE:-}" ] && srun --mpi=list 2>&1 | grep -qw pmix; then
    export SLURM_MPI_TYPE=pmix
  fi
}

# output_of FLAGS...: the file that `llmpq generate FLAGS` would write, shard and all.
output_of() {
  local config output shard
  config=$("$llmpq" generate "$@" --print-config) || return
  output=$(sed -n 's/^output = "\(.*\)"$/\1/p' <<<"$config")
  shard=$(sed -n 's/^shard = "\(.*\)"$/\1/p' <<<"$config")
  echo "$output${shard:+.shard-${shard%/*}-of-${shard#*/}}"
}

# overwrites FLAGS...: whether the job makes an output anew that exists.
overwrites() { "$llmpq" generate "$@" --print-config | grep -qx 'overwrite = true'; }

# rows_done FLAGS...: how many rows of that file are finished; 0 if there is no file yet.
rows_done() {
  local output
  output=$(output_of "$@") || return
  output=$(readlink -m -- "$output")  # a link's .part is where it leads
  [ -e "$output" ] || [ -e "$output.part" ] || { echo 0; return; }
  "$llmpq" inspect "$output" --json | sed -n 's/.*"rows_done": *\([0-9]*\).*/\1/p'
}

# begin FLAGS...: finds the program, and says in the log which run this is. A job that is wrong ends
# here, with llmpq's sentence and exit code.
begin() {
  find_program
  choose_mpi
  "$llmpq" generate "$@" --print-config >/dev/null || exit
  rows_before=$(rows_done "$@" 2>/dev/null)
  say "run $((${SLURM_RESTART_COUNT:-0} + 1)) of job $SLURM_JOB_ID on $(nodes_of_job)," \
    "${rows_before:-?} rows done before, $llmpq"
  if [ "${SLURM_GPUS_ON_NODE:-0}" -gt "${SLURM_NTASKS_PER_NODE:-1}" ]; then
    say "$SLURM_GPUS_ON_NODE GPUs a node for ${SLURM_NTASKS_PER_NODE:-1} ranks: some stay unused;" \
      "give sbatch --ntasks-per-node=$SLURM_GPUS_ON_NODE too"
  fi
}

# The nodes of each component of the job, as Slurm writes them.
nodes_of_job() {
  local i nodes text=$SLURM_JOB_NODELIST
  for ((i = 1; i < ${SLURM_HET_SIZE:-1}; ++i)); do
    nodes=SLURM_JOB_NODELIST_HET_GROUP_$i
    text+=" + ${!nodes}"
  done
  echo "$text"
}

# Slurm 22.05 mixes up a heterogeneous job's nodes in its PMIx plugin unless they come in the order
# of their names; the ranks then do not find each other, whatever order srun is given.
warn_of_component_order() {
  local nodes
  nodes=$(nodes_of_job | sed 's/ + /\n/g' | while read -r list; do scontrol show hostnames "$list"; done)
  if [ "$nodes" != "$(LC_ALL=C sort <<<"$nodes")" ]; then
    say "the components' nodes are not in the order of their names:" "$(tr '\n' ' ' <<<"$nodes")"
    say "if MPI cannot connect now ('Cannot establish the connection'), swap the components"
  fi
}

# run_step ARGUMENTS...: llmpq on every task of the allocation, all components in one MPI world. When
# a rank dies the others are ended, and srun's exit code is the highest of the ranks'. Slurm sends its
# warning to the ranks; one that comes to this script (--signal=B:USR1@180) is passed on to them.
run_step() {
  local i cpus code step words=()
  for ((i = 0; i < ${SLURM_HET_SIZE:-1}; ++i)); do
    cpus=SLURM_CPUS_PER_TASK
    if [ -n "${SLURM_HET_SIZE:-}" ]; then
      cpus=SLURM_CPUS_PER_TASK_HET_GROUP_$i
      [ "$i" = 0 ] || words+=(:)
      words+=("--het-group=$i")
    fi
    words+=(--kill-on-bad-exit=1)
    # srun has not taken it from the job since Slurm 22.05
    [ -z "${!cpus:-}" ] || words+=("--cpus-per-task=${!cpus}")
    words+=("$slurm_folder/bind.sh" "$llmpq" "$@")
  done
  srun "${words[@]}" &
  step=$!
  trap 'kill -USR1 "$step"' USR1
  wait "$step"
  code=$?
  while kill -0 "$step" 2>/dev/null; do  # a signal ends wait, but not the step
    wait "$step"
    code=$?
  done
  trap - USR1
  return "$code"
}

# finish CODE FLAGS...: ends the job with that code, or puts it back into the queue: after 75
# (stopped early, everything saved), 8 (MPI failed) and above 128 (killed), which is how a lost node
# looks. Each run must get rows done, else the job would go round for ever; one that did not is
# tried again once.
finish() {
  local code=$1 rows_after job=$SLURM_JOB_ID
  shift
  if [ "$code" = 0 ]; then exit 0; fi
  if [ "$code" != 75 ] && [ "$code" != 8 ] && [ "$code" -le 128 ]; then
    say "exit code $code: another run would end in the same way"
    exit "$code"
  fi
  rows_after=$(rows_done "$@" 2>/dev/null)
  if [ "${rows_after:-0}" -le "${rows_before:-0}" ] && [ "${SLURM_RESTART_COUNT:-0}" -ge 1 ]; then
    say "exit code $code, and no row was finished in this run: not again; is --time too short?"
    exit "$code"
  fi
  # The id of an array's first task is the whole array's too.
  if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi
  say "exit code $code, ${rows_after:-?} rows done: back into the queue"
  if scontrol requeue "$job"; then
    sleep 60  # requeueing ends this script
  else
    say "it cannot be requeued; to go on, submit it again"
  fi
  exit "$code"
}
