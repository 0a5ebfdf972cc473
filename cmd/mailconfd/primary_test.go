package main

import (
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"mailconfd/internal/publish/publishtest"
)

type primaryKey struct{}

// primarySecret is the secret of the key "mailconfd" at a script's primary.
const primarySecret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// startPrimary: primary ZONE FILE [CONFIG...] starts a name server that takes updates, from the
// zone in a file; $PRIMARY is its address, in the configurations too. It knows the key "mailconfd".
func startPrimary(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: primary ZONE FILE [CONFIG...]")
	}
	p, err := publishtest.Start(args[0], ts.ReadFile(args[1]), map[string]string{"mailconfd.": primarySecret})
	ts.Check(err)
	ts.Defer(func() { _ = p.Close() })
	ts.Setenv("PRIMARY", p.Addr())
	for _, name := range args[2:] {
		text := strings.ReplaceAll(ts.ReadFile(name), "$PRIMARY", p.Addr())
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o644))
	}
	ts.Value(primaryKey{}).(*primaryOf).Primary = p
}

// primaryOf holds the primary that a script has started.
type primaryOf struct{ *publishtest.Primary }

func thePrimary(ts *testscript.TestScript) *publishtest.Primary {
	p := ts.Value(primaryKey{}).(*primaryOf).Primary
	if p == nil {
		ts.Fatalf("no primary was started")
	}
	return p
}

// editZone: edit LINE... changes the primary's zone by hand; a line that begins with "-" takes
// the record away.
func editZone(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(thePrimary(ts).Edit(args...))
}

// dumpZone: dump prints the primary's zone, sorted, without the SOA record.
func dumpZone(ts *testscript.TestScript, neg bool, args []string) {
	_, _ = ts.Stdout().Write([]byte(strings.Join(thePrimary(ts).Records(), "\n") + "\n"))
}

// awaitZone: awaitzone TEXT waits until the primary's zone holds the text.
func awaitZone(ts *testscript.TestScript, neg bool, args []string) {
	until(ts, func() (bool, string) {
		zone := strings.Join(thePrimary(ts).Records(), "\n")
		return len(args) == 1 && strings.Contains(zone, args[0]) != neg, zone
	})
}
