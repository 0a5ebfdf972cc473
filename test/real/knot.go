//go:build real

package real

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// startKnot runs Knot DNS as the primary of example.test until the test ends, with more settings of the zone. It writes
// the zone file anew after each change.
func startKnot(t *testing.T, address, zone string, settings ...string) *primary {
	t.Helper()
	p := newPrimary(t, "knot", address, zone)
	p.configureKnot(t, "", append(settings, "acl: [mailconfd, person]")...)
	p.start(t)
	return p
}

// startKnotSecondary runs Knot DNS as a secondary of another server, which tells it of no change. It passes updates on
// when it is told to.
func startKnotSecondary(t *testing.T, address, primaryAddress string, forwards bool) *primary {
	t.Helper()
	p := newPrimary(t, "knot", address, "")
	if err := os.Remove(p.zoneFile()); err != nil {
		t.Fatal(err)
	}
	settings := []string{"master: primary"}
	if forwards {
		settings = append(settings, "acl: [mailconfd, person]")
	}
	p.configureKnot(t, fmt.Sprintf("remote:\n  - id: primary\n    address: %s\n    key: person\n", strings.ReplaceAll(primaryAddress, ":", "@")), settings...)
	p.start(t)
	return p
}

// configureKnot writes the configuration: remote servers, and settings of the zone.
func (p *primary) configureKnot(t *testing.T, remotes string, settings ...string) {
	t.Helper()
	var config strings.Builder
	fmt.Fprintf(&config, `server:
    rundir: %[1]q
    listen: %[2]s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: %[1]q
    journal-db-mode: asynchronous
    kasp-db: keys
key:
`, p.dir, strings.ReplaceAll(p.address, ":", "@"))
	for _, key := range []string{"mailconfd", "person", "reader"} {
		fmt.Fprintf(&config, "  - id: %s\n    algorithm: hmac-sha256\n    secret: %s\n", key, secretOf(key))
	}
	config.WriteString(remotes)
	fmt.Fprintf(&config, `acl:
  - id: mailconfd
    key: mailconfd
    action: update
    update-type: [SRV, TXT, CNAME, A, AAAA, TLSA]
  - id: person
    key: person
    action: [update, transfer]
zone:
  - domain: example.test
    storage: %q
    file: example.test.zone
    zonefile-sync: 0
`, p.dir)
	for _, line := range settings {
		fmt.Fprintf(&config, "    %s\n", line)
	}
	file := filepath.Join(p.dir, "knot.conf")
	writeFile(t, file, config.String(), 0o644)
	p.own(t)
	p.command = func() *exec.Cmd { return unprivileged("knotd", "-c", file) }
}
