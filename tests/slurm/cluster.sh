#!/usr/bin/env bash
# A Slurm of our own on this machine, for tests: a controller and four nodes with GPUs of three kinds
# (devices that are nothing but named so), each on a host of its own (tests/netns/hosts.sh).
#   cluster.sh obstacle             prints why it cannot be started here; nothing if it can
#   cluster.sh start FOLDER         starts it; FOLDER is made, and must be a short path (for sockets)
#   cluster.sh exec FOLDER CMD...   runs CMD where sbatch, scontrol ... reach it
#   cluster.sh node-down FOLDER N   node N loses its power: slurmd and all its tasks are killed
#   cluster.sh node-up FOLDER N     it boots again
#   cluster.sh stop FOLDER          ends all of it; also by itself, $LLMPQ_CLUSTER_S (900) s after start
# All its processes are in its own network namespaces, so that it meets no other Slurm, and those are
# the ones that are ended.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/netns/hosts.sh
source "$here/../netns/hosts.sh"

nodes=(a100n1 a100n2 t4n1 v100n1)  # a name is the kind of GPU, n, and a number
gpus=2 cpus=8                      # of each node, real or not

die() {
  echo "cluster.sh: $*" >&2
  exit 1
}

kind_of() { echo "${1%n*}"; }

obstacle() {
  local program
  for program in munged slurmctld slurmd sbatch; do
    if ! PATH=$PATH:/usr/sbin command -v "$program" >/dev/null; then
      echo "there is no $program here"
      return
    fi
  done
  hosts_obstacle
}

# The lines of slurm.conf and gres.conf that depend on the nodes.
node_lines() {
  local node kind
  for node in "${nodes[@]}"; do
    kind=$(kind_of "$node")
    echo "NodeName=$node NodeAddr=$(hosts_address "$node") CPUs=$cpus RealMemory=2000" \
      "Feature=$kind Gres=gpu:$kind:$gpus"
  done
  echo "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 State=UP"
}

gres_lines() {
  local node i
  echo AutoDetect=off
  for node in "${nodes[@]}"; do
    mkdir -p "$run/dev/$node"
    # slurmd wants character devices; these are /dev/null
    for ((i = 0; i < gpus; ++i)); do mknod "$run/dev/$node/nvidia$i" c 1 3; done
    echo "NodeName=$node Name=gpu Type=$(kind_of "$node") File=$run/dev/$node/nvidia[0-$((gpus - 1))]" \
      "Flags=nvidia_gpu_env"
  done
}

# on HOST PROGRAM...: in the background, its output in log/HOST-PROGRAM.out.
on() {
  local host=$1
  shift
  (hosts_run "$host" setsid "$@") >"$run/log/$host-$1.out" 2>&1 </dev/null &
}

boot() {
  mkdir -p "$run/spool/$1" "$run/tmp/$1"
  on "$1" slurmd -D -N "$1" -f "$run/slurm.conf"
}

wait_until_idle() {
  local i idle
  for ((i = 0; i < 100; ++i)); do
    idle=$(timeout 5 "$here/cluster.sh" exec "$run" sinfo -h -N -o %t 2>/dev/null | grep -cx idle) || true
    [ "$idle" != "${#nodes[@]}" ] || return 0
    sleep 0.2
  done
  return 1
}

start() {
  [ "${#run}" -le 60 ] || die "$run is too long for a socket's path"
  [ ! -e "$run" ] || die "$run is there already"
  mkdir -p "$run"/{munge,state,log,spool,tmp}
  chmod 755 "$run" "$run/munge"
  trap 'tail -n 5 "$run"/log/*.out >&2; stop' ERR
  hosts_up head "${nodes[@]}"
  sed -e "s|@RUN@|$run|g" -e "s|@HEAD@|$(hosts_address head)|" "$here/slurm.conf.in" >"$run/slurm.conf"
  node_lines >>"$run/slurm.conf"
  gres_lines >"$run/gres.conf"

  dd if=/dev/urandom of="$run/munge/key" bs=128 count=1 status=none
  chmod 400 "$run/munge/key"
  on head munged --foreground --force --key-file="$run/munge/key" --socket="$run/munge/sock" \
    --pid-file="$run/munge/pid" --seed-file="$run/munge/seed" --log-file="$run/log/munged.log"
  for ((i = 0; i < 50; ++i)); do
    [ ! -S "$run/munge/sock" ] || break
    sleep 0.1
  done
  on head slurmctld -D -i -f "$run/slurm.conf"
  for node in "${nodes[@]}"; do boot "$node"; done
  wait_until_idle
  trap - ERR
  setsid "$here/cluster.sh" watch "$run" >/dev/null 2>&1 </dev/null &
}

# Whoever started the cluster may be killed before it stops it.
watch() {
  local end=$((SECONDS + ${LLMPQ_CLUSTER_S:-900}))
  while [ "$SECONDS" -lt "$end" ]; do
    [ -d "$run" ] || exit 0
    sleep 1
  done
  stop
}

stop() {
  trap - ERR
  hosts_down "${nodes[@]}" head
  rm -rf --one-file-system "$run"
}

command=${1:-} run=${2:-}
shift 2 || shift $#
# The same for every call about the same folder; for hosts.sh.
# shellcheck disable=SC2034
hosts_prefix=llmpq-$(cksum <<<"$run" | cut -d' ' -f1) hosts_folder=$run
export SLURM_CONF=$run/slurm.conf PATH=$PATH:/usr/sbin
case $command in
  obstacle) obstacle ;;
  start) start ;;
  watch) watch ;;
  stop) stop ;;
  node-down) hosts_kill "$1" ;;
  node-up) boot "$1" ;;
  exec)
    # As root; sessions inside the folder; and ranks that yield, since there are more of them than
    # cores and Open MPI does not see that under Slurm.
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
    export OMPI_MCA_orte_tmpdir_base=$run/tmp OMPI_MCA_hwloc_base_binding_policy=none
    hosts_run head "$@"
    ;;
  *) sed -n '2,/^set -euo/p' "$0" | sed -n 's/^# \{0,1\}//p'; exit 2 ;;
esac
