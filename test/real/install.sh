#!/usr/bin/env bash
# Installs what the tests against real servers need on Debian 12, and nothing that is there already.
# Usage, as root: test/real/install.sh [PACKAGE…]   (more packages to install in the same go)
#
# No service is started: while apt runs, policy-rc.d forbids it; what stood there before is put back.
# Debian lets only one mail server of a kind live on a machine: another one (exim4, courier, …) is removed by apt.
# So run this in a container or a virtual machine that is yours to change.
set -euo pipefail

packages=(
  dovecot-imapd dovecot-pop3d dovecot-managesieved # IMAP, POP3, ManageSieve; login for Postfix
  dovecot-lmtpd                                    # takes from Postfix what is sent to jane
  postfix                                          # submission and submissions
  thunderbird                                      # a mail client, about 310 MB
  postgresql                                       # initdb and postgres; its service is not started
  bind9-utils knot-dnssecutils                     # named-checkzone, kzonecheck
  bind9 knot bind9-dnsutils                        # name servers that take updates; dig, nsupdate
  cyrus-common cyrus-caldav sasl2-bin              # CalDAV, CardDAV and JMAP; the password of its user
  radicale                                         # CalDAV and CardDAV
  apache2-bin                                      # a proxy before it, and sites that have none of these
  iproute2 util-linux                              # ip; unshare and nsenter
  accountwizard libevolution evolution-data-server # KDE's ispdb; Evolution's library
  geary claws-mail aerc                            # clients with a window, or in a terminal
  python3-exchangelib                              # an Autodiscover client
  xvfb dbus-daemon at-spi2-core                    # a screen, a session bus, and the bus of screen readers,
  python3-gi gir1.2-atspi-2.0                      # on which the tests press a client's buttons
  tmux gcc libc6-dev                               # a terminal; a compiler for the program that calls Evolution's library
  "$@"
)

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]; }

missing=()
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "install: nothing is missing"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "install: run as root, or install yourself: ${missing[*]}" >&2
  exit 1
fi

policy=/usr/sbin/policy-rc.d
saved=$(mktemp -d)
restore() {
  rm -f "$policy"
  [ ! -e "$saved/policy-rc.d" ] || mv "$saved/policy-rc.d" "$policy"
  rm -rf "$saved"
}
[ ! -e "$policy" ] || mv "$policy" "$saved/policy-rc.d"
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

echo "install: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# Postfix gets no configuration of its own: the tests bring theirs.
installed postfix || echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
apt-get -qq update
apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" </dev/null
