#!/usr/bin/env bash
# mpirun over hosts that this machine pretends (hosts.sh), without ssh and without Slurm:
#   mpirun.sh obstacle                prints why it cannot be done here; nothing if it can
#   mpirun.sh HOSTS RANKS COMMAND...  RANKS of each of the hosts h1, h2, ...; mpirun's exit code
# LLMPQ_CUT_HOST=h2 LLMPQ_CUT_FILE=FILE LLMPQ_CUT_S=8   takes h2 off the network for 8 s once FILE is
# there. Not for good: mpirun cannot end a job while one of its daemons is out of reach.
# LLMPQ_CLOCK_APART_S=1000          each host's steady clock is so far ahead of the host's before it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/netns/hosts.sh
source "$here/hosts.sh"

if [ "$1" = obstacle ]; then
  hosts_obstacle
  exit
fi
if [ "$1" = agent ]; then  # agent HOST COMMAND...: what mpirun calls where it would call ssh
  hosts_prefix=$LLMPQ_HOSTS_PREFIX hosts_folder=$LLMPQ_HOSTS_FOLDER host=$2
  hosts_clock_apart_s=${LLMPQ_CLOCK_APART_S:-}
  shift 2
  hosts_run "$host" sh -c "$*"
fi

hosts=$1 ranks=$2
shift 2
hosts_prefix=llmpq-mpi-$$
hosts_folder=$(mktemp -d /tmp/llmpq-mpi.XXXXXX)
export LLMPQ_HOSTS_PREFIX=$hosts_prefix LLMPQ_HOSTS_FOLDER=$hosts_folder
names=() list=
for ((i = 1; i <= hosts; ++i)); do
  names+=("h$i")
  list+="h$i:$ranks,"
done

# shellcheck disable=SC2317  # called by the trap
cleanup() {
  hosts_down "${names[@]}" head
  rm -rf "$hosts_folder"
}
trap cleanup EXIT
trap 'exit 143' TERM INT
hosts_up head "${names[@]}"
printf '#!/bin/sh\nexec %q agent "$@"\n' "$here/mpirun.sh" >"$hosts_folder/agent"
chmod +x "$hosts_folder/agent"

if [ -n "${LLMPQ_CUT_HOST:-}" ]; then
  (
    while [ -d "$hosts_folder" ] && [ ! -e "$LLMPQ_CUT_FILE" ]; do sleep 0.05; done
    ip -n "$hosts_prefix-head" link set "to-$LLMPQ_CUT_HOST" down
    sleep "$LLMPQ_CUT_S"
    ip -n "$hosts_prefix-head" link set "to-$LLMPQ_CUT_HOST" up
  ) 2>/dev/null &
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
code=0
(hosts_run head mpirun --mca plm_rsh_agent "$hosts_folder/agent" \
  --mca orte_tmpdir_base "$hosts_folder" --mca btl vader,tcp,self \
  --mca btl_tcp_if_include "$hosts_subnet.0/24" --mca oob_tcp_if_include "$hosts_subnet.0/24" \
  --host "${list%,}" -n $((hosts * ranks)) --bind-to none "$@") || code=$?
exit "$code"
