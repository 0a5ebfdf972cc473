//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailconfd/internal/lab"
)

// The tests of reliability kill mailconfd, its database and its mail servers, and count what is lost. Their mail servers are
// the lab's, in this process: hundreds of probes a second need no Postfix. Here they are small; "make reliability", which
// sets RELIABILITY, lets them run at full size and writes docs/reliability.md from their figures.

// sized returns how much a test does: a little in every run, all of it by "make reliability".
func sized[T any](little, all T) T {
	if os.Getenv("RELIABILITY") == "full" {
		return all
	}
	return little
}

// figure tells what a test measured: in its output, and as a line of the file that RELIABILITY_FIGURES names.
func figure(t *testing.T, name, format string, arguments ...any) {
	t.Helper()
	value := fmt.Sprintf(format, arguments...)
	t.Logf("%s: %s", name, value)
	path := os.Getenv("RELIABILITY_FIGURES")
	if path == "" {
		return
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := fmt.Fprintf(file, "| `%s` | %s | %s |\n", t.Name(), name, value); err != nil {
		t.Fatal(err)
	}
}

// town is a lab that mailconfd sees through a wire of ours.
type town struct {
	*lab.Internet
	dir    string
	caFile string
	wire   *wire
}

func newTown(t *testing.T) *town {
	t.Helper()
	internet, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := internet.Close(); err != nil {
			t.Error(err)
		}
	})
	n := &town{Internet: internet, dir: publicDir(t), wire: newWire(t, internet, false)}
	n.caFile = filepath.Join(n.dir, "root.pem")
	writeFile(t, n.caFile, string(internet.CA().RootPEM()), 0o644)
	return n
}

// sqlite is the URL of a state in a file.
func (n *town) sqlite() string { return "sqlite://" + filepath.Join(n.dir, "state.db") }

// plan is how a replica is set up. What is left out is as usual.
type plan struct {
	name     string // "": mailconfd
	number   int    // of the replica, for its ports
	state    string
	services []string // instead of all of the lab's mail host
	vantage  string
	decides  string // policy.vantage
	via      *wire
}

// replica prepares a mailconfd that looks every second and steps back after two failures. It is not started.
func (n *town) replica(t *testing.T, p plan) *replica {
	t.Helper()
	providers, domains := "", ""
	for i, what := range p.providers() {
		providers += fmt.Sprintf("  - {name: provider-%d, %s}\n", i, what)
		domains += fmt.Sprintf("  - {name: %s%s, provider: provider-%d}\n", strings.Repeat("more.", i), domain, i)
	}
	via := n.wire
	if p.via != nil {
		via = p.via
	}
	r := newReplica(t, n.dir, orElse(p.name, "mailconfd"), p.number)
	writeFile(t, r.config, fmt.Sprintf(`
listen: [%q]
admin_listen: %q
state: %q
resolver: %q
self_check: false
probe: {interval: 1s, ca_file: %q, via: %q, helo: client.example.test, vantage: %s}
policy: {withdraw_after: 2, withdraw_after_time: 0s, vantage: %s}
providers:
%sdomains:
%s`, r.public, r.admin, p.state, n.Resolver(), n.caFile, via.url(), orElse(p.vantage, "here"), orElse(p.decides, "any"), providers, domains), 0o644)
	return r
}

// providers are what each provider has, a hundred services at most. The first is that of example.test.
func (p plan) providers() (all []string) {
	for some := range slices.Chunk(p.services, 100) {
		all = append(all, "services: ["+strings.Join(some, ", ")+"]")
	}
	if len(all) == 0 {
		all = append(all, "hosts: ["+mailName+"]")
	}
	return all
}

func orElse(value, usual string) string {
	if value == "" {
		return usual
	}
	return value
}

// every calls do again and again, with a pause between two calls, until it returns false or the time is over.
func every(pause, within time.Duration, do func() (more bool)) {
	ticks := time.NewTicker(pause)
	defer ticks.Stop()
	end := time.NewTimer(within)
	defer end.Stop()
	for do() {
		select {
		case <-ticks.C:
		case <-end.C:
			return
		}
	}
}
