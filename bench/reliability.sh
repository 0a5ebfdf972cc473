#!/usr/bin/env bash
# Runs the reliability tests of test/real at full size, about a quarter of an hour, and writes docs/reliability.md from
# their figures. When one fails, the page stays as it is.
# Usage, as root on Debian 12 with Go, PostgreSQL and iproute2 (test/real/install.sh installs them): bench/reliability.sh
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
commit=$(git rev-parse --short=10 HEAD)
CGO_ENABLED=0 go build -trimpath -o "$work/mailconfd" ./cmd/mailconfd

tests='TestCrash|TestReplicasAgree|TestReplicasKilled|TestMailServersDown|TestDatabaseDown|TestStartWithoutDatabase|TestSoak|TestVantages'
RELIABILITY=full RELIABILITY_FIGURES="$work/figures" REAL_MAILCONFD="$work/mailconfd" \
  go test -tags real -count=1 -v -timeout 40m -run "^($tests)\$" -exec "$PWD/test/real/namespace.sh" ./test/real/

{
  cat <<'PAGE'
# Reliability, in figures

`make reliability` runs the tests below with real processes and writes this page from what they measured; it takes about a
quarter of an hour. Every run of `make test-real` has the same tests, smaller. When one fails, the page is not written.

| test | what it does, and holds |
|---|---|
| `TestCrash` | mailconfd is killed by SIGKILL at random moments of its first second, 200 times on each engine, while outcomes change all the time. Each observation and change that the API of the admin listener had told is in the state afterwards; `mailconfd state check` passes each time |
| `TestReplicasAgree` | three replicas on one PostgreSQL, a service that comes and goes: all tell clients the same bytes and ETag within two seconds of the first; a healthy service is probed once a slot, and never twice at once |
| `TestReplicasKilled` | one of the three is killed by SIGKILL each second for a minute, and started again; clients ask all that run, a hundred times a second each. Every answer, the first after a start too, is 200 with the same bytes and ETag |
| `TestMailServersDown` | mailconfd is started again while all mail servers are down, and answers as before |
| `TestDatabaseDown` | PostgreSQL is stopped under a mailconfd that serves, and started again: answers and `/readyz` stay, probes go on, what is seen is saved again by itself |
| `TestStartWithoutDatabase` | mailconfd is started without its PostgreSQL: it answers from its own probes, or 503 until it can, and never 404 |
| `TestSoak` | two hundred services are probed all the time: memory, goroutines and files stay as they are |
| `TestVantages` | two processes, one behind a device that strips STARTTLS: both tell of the disagreement, and `policy.vantage` decides |

All look once a second, the shortest `probe.interval`, which makes everything happen often; leases last two minutes, as always.
A probe that was under way when its process was killed is made again when its lease has ended. The mail servers are those of the demo, and many small
IMAP servers, in the process of the tests; PostgreSQL is Debian's, with its defaults but for max_connections. They share the machine with mailconfd.

## Measured

PAGE
  cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
  echo "On $(date -u +%F), $(nproc) cores of an ${cpu:-unknown CPU}, Linux $(uname -r | cut -d- -f1), Debian $(cat /etc/debian_version)," \
    "$(go version | cut -d' ' -f3), PostgreSQL $(psql --version | cut -d' ' -f3), at commit $commit:"
  echo
  echo '| test | figure | value |'
  echo '|---|---|---|'
  cat "$work/figures"
} >"$work/page"
cp "$work/page" docs/reliability.md
