#!/bin/sh
# Runs a command as if it were alone on a machine without a network: in a network namespace of its own with only the
# loopback interface, and in a process namespace of its own, so that everything it started dies with it.
# Usage, as root: namespace.sh COMMAND [ARGUMENT…]   ("go test -exec" calls it so)
set -eu
exec unshare --net --pid --fork --mount-proc --kill-child sh -c 'ip link set lo up; "$@"' sh "$@"
