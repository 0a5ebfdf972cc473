#!/bin/sh
# Runs a command as if it were alone on a machine without a network: in a network namespace of its own with only the
# loopback interface, in a mount namespace where names are asked of 127.0.0.1 alone, and in a process namespace of its
# own, so that everything it started dies with it.
# Usage, as root: namespace.sh COMMAND [ARGUMENT…]   ("go test -exec" calls it so)
set -eu
exec unshare --net --mount --pid --fork --mount-proc --kill-child sh -euc '
  ip link set lo up
  resolver=$(mktemp)
  echo "nameserver 127.0.0.1" >"$resolver"
  chmod 644 "$resolver"
  mount --bind "$resolver" /etc/resolv.conf
  rm "$resolver"
  exec "$@"' sh "$@"
