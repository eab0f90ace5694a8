# shellcheck shell=bash
# Hosts that one machine pretends, for tests/netns and tests/slurm: each is a network namespace with an
# address on a common bridge, and what runs in it has a host name and a /dev/shm of its own, and if
# hosts_clock_apart_s is set a steady clock that is so many seconds ahead of the host's before. Nothing of
# the machine's own network is touched; the hosts see each other and nothing else. Needs root.
# Sourced; hosts_prefix (unique) and hosts_folder (a folder that exists) are set by who does.

: "${hosts_prefix:=}" "${hosts_folder:=}" "${hosts_clock_apart_s:=}"
hosts_subnet=10.217.45

# Prints why hosts cannot be made here; nothing if they can.
hosts_obstacle() {
  local command trial=llmpq-trial-$$
  if [ "$(id -u)" != 0 ]; then echo "network namespaces need root"; return; fi
  for command in ip nsenter unshare; do
    command -v "$command" >/dev/null || { echo "there is no $command here"; return; }
  done
  if ! ip netns add "$trial" 2>/dev/null; then echo "network namespaces cannot be made here"; return; fi
  unshare -m -u -- sh -c 'mount -t tmpfs none /dev/shm && hostname x' 2>/dev/null &&
    ip -n "$trial" link add br0 type bridge 2>/dev/null ||
    echo "host names, mounts or bridges of one's own cannot be made here"
  ip netns del "$trial"
}

# hosts_up NAME...: makes them. The first one has the bridge.
hosts_up() {
  local name number=0 first=$hosts_prefix-$1
  printf '127.0.0.1 localhost\n' >"$hosts_folder/hosts"
  for name in "$@"; do
    number=$((number + 1))
    ip netns add "$hosts_prefix-$name"
    ip -n "$hosts_prefix-$name" link set lo up
    if [ "$number" = 1 ]; then
      ip -n "$first" link add eth0 type bridge
    else
      ip -n "$first" link add "to-$name" type veth peer name eth0 netns "$hosts_prefix-$name"
      ip -n "$first" link set "to-$name" master eth0 up
    fi
    ip -n "$hosts_prefix-$name" addr add "$hosts_subnet.$number/24" dev eth0
    ip -n "$hosts_prefix-$name" link set eth0 up
    echo "$hosts_subnet.$number $name" >>"$hosts_folder/hosts"
  done
}

# hosts_address NAME
hosts_address() { awk -v name="$1" '$2 == name {print $1}' "$hosts_folder/hosts"; }

# hosts_number NAME: from 1
hosts_number() { hosts_address "$1" | sed 's/.*\.//'; }

# hosts_run NAME COMMAND...: becomes that command, on that host.
# shellcheck disable=SC2016  # the inner shell's own arguments
hosts_run() {
  local name=$1 clock=()
  shift
  if [ -n "$hosts_clock_apart_s" ]; then
    clock=(--time --fork --monotonic "$((hosts_clock_apart_s * $(hosts_number "$name")))")
  fi
  exec nsenter --net="/run/netns/$hosts_prefix-$name" -- unshare -m -u "${clock[@]}" -- sh -c '
    hostname "$0" && mount --bind "$1" /etc/hosts &&
    mount -t tmpfs -o size=2g,mode=1777 shm /dev/shm && shift && exec "$@"' \
    "$name" "$hosts_folder/hosts" "$@"
}

# hosts_kill NAME: ends all that runs there, at once, as a power cut does. What kills itself so is
# not there any more to be told: call it from outside.
hosts_kill() {
  local pids tries
  for ((tries = 0; tries < 50; ++tries)); do
    pids=$(ip netns pids "$hosts_prefix-$1" 2>/dev/null) || return 0
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086  # one word a process
    kill -KILL $pids 2>/dev/null || true
    sleep 0.05
  done
}

# hosts_down NAME...: ends what runs there and takes the hosts away.
hosts_down() {
  local name
  for name in "$@"; do hosts_kill "$name"; done
  for name in "$@"; do ip netns del "$hosts_prefix-$name" 2>/dev/null || true; done
}
