package settings_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailconfd/settings"
)

var update = flag.Bool("update", false, "write docs/failures.md from the tables")

// TestFailuresPage keeps docs/failures.md the same as the tables that the program
// prints from.
func TestFailuresPage(t *testing.T) {
	t.Parallel()
	const name = "../docs/failures.md"
	want := failuresPage()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is out of date; go test ./settings -run FailuresPage -update (-want +got)\n%s", name, diff)
	}
}

func failuresPage() string {
	var b strings.Builder
	b.WriteString(`# Failures and warnings

Why a service is not verified, and what to do about it. The words in the first column are
the same everywhere: in JSON, in metrics, in the log and in the commands. This page is
written from the code (` + "`settings/failure.go`" + `).

Where several apply, the first that the dialogue meets wins; the rows are in that order.
**Counts**: *as others* means that several in a row make a published service step back
(` + "`policy.withdraw_after`" + ` and ` + "`withdraw_after_time`" + `); *at once* that it steps back after one
confirmation, because a password could be lost; *late* that it counts only when the last
success is older than ` + "`policy.max_age`" + `; *never* that it says nothing about the service.
The kinds that begin with ` + "`login_`" + ` come from the [login check](login.md), not from probes:
nothing is counted, and what they withhold stays withheld until a login says otherwise.

| failure | what was seen | what to do | counts |
|---|---|---|---|
`)
	counts := map[settings.Weight]string{settings.Ordinary: "as others", settings.Unsafe: "at once", settings.Temporary: "late", settings.Local: "never"}
	for _, f := range settings.Failures() {
		count := counts[f.Weight]
		if strings.HasPrefix(string(f.Kind), "login_") {
			count = "not counted"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Kind, f.Meaning, f.Remedy, count)
	}
	b.WriteString(`
A host can have several addresses. The service is verified when it passes wholly at one of
them at least. Another address that fails is a warning, because clients go on to the next
one; but a failure that counts *at once* withholds the service wherever it is met, because
clients do not go on from there.

## Warnings

They do not keep a service from being published.

| warning | what was seen | what to do |
|---|---|---|
`)
	for _, w := range settings.Warnings() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", w.Kind, w.Meaning, w.Remedy)
	}
	return b.String()
}
