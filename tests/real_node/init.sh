#!/bin/sh
# First process of the node's own mount and pid namespace: when it ends, runtime, containers and mounts end with it.
# Usage: init.sh FOLDER CONTAINERD KUBELET [KUBELET ARGUMENTS...]
set -eu
folder=$1 containerd=$2 kubelet=$3
shift 3
mount --make-rshared /

# The kubelet sets these for the whole machine. Here it finds files that already hold what it wants, and sets nothing.
setting() {
    mkdir -p "$folder/sysctl"
    echo "$2" >"$folder/sysctl/$(basename "$1")"
    mount --bind "$folder/sysctl/$(basename "$1")" "/proc/sys/$1"
}
setting vm/overcommit_memory 1
setting vm/panic_on_oom 0
setting kernel/panic 10
setting kernel/panic_on_oops 1
setting kernel/keys/root_maxkeys 1000000
setting kernel/keys/root_maxbytes 25000000

# Fixed paths of the runtime, the network plug-ins and the kubelet: this node has its own.
for fixed in /var/run/netns /run/containerd /var/log/containers /var/lib/kubelet /var/lib/cni; do
    mkdir -p "$fixed" "$folder/fixed$fixed"
    mount --bind "$folder/fixed$fixed" "$fixed"
done
mount --make-rshared /var/run/netns

"$containerd" --config "$folder/containerd.toml" >"$folder/logs/containerd.log" 2>&1 &
tries=0
while ! [ -S "$folder/containerd.sock" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 500 ] || { echo "expected containerd's socket within 10 s; see containerd.log" >&2; exit 1; }
    sleep 0.02
done
# In the foreground: when the kubelet ends, this script ends, and with it the namespace and all that is in it.
"$kubelet" "$@" >"$folder/logs/kubelet.log" 2>&1
