package doctor_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailconfd/doctor"
)

// TestFindingsPage keeps docs/findings.md the same as the table that the program prints
// from.
func TestFindingsPage(t *testing.T) {
	t.Parallel()
	page(t, "../docs/findings.md", findingsPage())
}

// page compares a page with what the code makes of it, or writes it.
func page(t *testing.T, name, want string) {
	t.Helper()
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
		t.Errorf("%s is out of date; go test ./doctor -run %s -update (-want +got)\n%s", name, t.Name(), diff)
	}
}

func findingsPage() string {
	var b strings.Builder
	b.WriteString(`# Findings of doctor

What ` + "`mailconfd doctor`" + ` can find. The words in the first column are the same in JSON. This
page is written from the code (` + "`doctor/kinds.go`" + `).

A **fault** means that mail does not work, or not safely, for somebody, and that the
domain's operator can mend it; only a fault makes the exit code 1. A **warning** is what
works and should be better. A **note** is everything else that is worth knowing. The
weight in the table is the usual one. A finding weighs less

- when it is a client's own inability: all is published that the client can be told, and it
  still finds nothing, guesses, or makes another user name: a note;
- when submission on 587 stands before 465 and both work, which is a choice (RFC 8314,
  section 4, prefers 465): a note;
- when only clients that few people use find nothing: a warning;
- when an https address that redirects through http has no document: a warning.

One mistake is one finding, whoever meets it: a server that does not work is named once, with
all the clients that are sent there; a document that has no meaning is named, and not again
that clients reject it.

**Class** is the class of "Automatic Insecurity" (NDSS 2025), a study of a million domains.

| finding | class | weight | what is wrong | what users notice | what to do | see |
|---|---|---|---|---|---|---|
`)
	for _, k := range doctor.Kinds() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s |\n", k.Kind, k.Class, k.Weight, cell(k.Meaning), cell(k.Sees), cell(k.Remedy), cell(k.Reference))
	}
	return b.String()
}

// cell keeps a text from ending a column or being taken for HTML.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text)
}

// TestKinds looks at the table itself.
func TestKinds(t *testing.T) {
	t.Parallel()
	seen := map[doctor.Kind]bool{}
	for _, k := range doctor.Kinds() {
		if seen[k.Kind] || k.Meaning == "" || k.Sees == "" || k.Remedy == "" || k.Reference == "" {
			t.Errorf("%s stands twice, or lacks something", k.Kind)
		}
		if strings.HasSuffix(k.Meaning, ".") || strings.HasSuffix(k.Remedy, ".") {
			t.Errorf("%s ends with a full stop", k.Kind)
		}
		seen[k.Kind] = true
		if got := k.Kind.Text(); got != k {
			t.Errorf("Text of %s is %+v", k.Kind, got)
		}
	}
	if got := doctor.Kind("nonesuch").Text(); got.Kind != "nonesuch" || got.Meaning != "" {
		t.Errorf("got %+v for a kind that there is not", got)
	}
}
