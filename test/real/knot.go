//go:build real

package real

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// startKnot runs Knot DNS as the primary of example.test until the test ends. It writes the zone file anew after
// each change.
func startKnot(t *testing.T, address, zone string) *primary {
	t.Helper()
	p := newPrimary(t, "knot", address, zone)
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
key:
`, p.dir, strings.ReplaceAll(address, ":", "@"))
	for _, key := range []string{"mailconfd", "person", "reader"} {
		fmt.Fprintf(&config, "  - id: %s\n    algorithm: hmac-sha256\n    secret: %s\n", key, secretOf(key))
	}
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
    acl: [mailconfd, person]
`, p.dir)
	file := filepath.Join(p.dir, "knot.conf")
	writeFile(t, file, config.String(), 0o644)
	p.own(t)
	p.command = func() *exec.Cmd { return unprivileged("knotd", "-c", file) }
	p.start(t)
	return p
}
