package doctor_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"mailconfd/doctor"
)

var update = flag.Bool("update", false, "write the expected sections of testdata and the pages that are made from the code")

// TestCorpus examines the recorded deployments of testdata. Each begins with what it is,
// and a line "want WEIGHT KIND CLASS" for each thing that must be found in it, written
// from the facts; the sections at its end hold all that is found, and what each client
// comes to. They are written with -update and are to be read then.
func TestCorpus(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			archive := txtar.Parse(data)
			report := examine(t, parseWorld(t, string(data)), section(archive, "address", "jane@example.test"))
			wanted(t, string(archive.Comment), report)
			if strings.Contains(name, "healthy-") {
				healthy(t, report)
			}
			golden(t, name, archive, map[string]string{"findings": findingLines(report), "clients": clientLines(report)})
		})
	}
}

func section(a *txtar.Archive, name, otherwise string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return strings.TrimSpace(string(f.Data))
		}
	}
	return otherwise
}

// wanted looks for what the head of a file says.
func wanted(t *testing.T, comment string, r doctor.Report) {
	t.Helper()
	found := findingLines(r)
	for line := range strings.Lines(comment) {
		if want, ok := strings.CutPrefix(strings.TrimSpace(line), "want "); ok && !strings.Contains("\n"+found, "\n"+want+": ") {
			t.Errorf("not found: %s; found:\n%s", want, found)
		}
	}
}

// healthy looks for false alarms.
func healthy(t *testing.T, r doctor.Report) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Weight != doctor.Note {
			t.Errorf("false alarm: %s %s: %s (%s)", f.Weight, f.Kind, f.Detail, strings.Join(f.Affected, ", "))
		}
	}
}

// golden compares sections of a file, or writes them.
func golden(t *testing.T, name string, a *txtar.Archive, sections map[string]string) {
	t.Helper()
	if *update {
		kept := txtar.Archive{Comment: a.Comment}
		for _, f := range a.Files {
			if _, ours := sections[f.Name]; !ours {
				kept.Files = append(kept.Files, f)
			}
		}
		for _, s := range []string{"findings", "clients"} {
			kept.Files = append(kept.Files, txtar.File{Name: s, Data: []byte(sections[s])})
		}
		if err := os.WriteFile(name, txtar.Format(&kept), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for s, got := range sections {
		if diff := cmp.Diff(section(a, s, ""), strings.TrimSpace(got)); diff != "" {
			t.Errorf("%s is not as expected; if it should be, go test ./doctor -run Corpus -update (-want +got)\n%s", s, diff)
		}
	}
}

// findingLines has a line "WEIGHT KIND CLASS: DETAIL" for each finding, save what is
// said of some clients whatever a domain does.
func findingLines(r doctor.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		if f.Kind == doctor.KindUnknown {
			continue
		}
		words := []string{string(f.Weight), string(f.Kind)}
		if f.Class != "" {
			words = append(words, f.Class)
		}
		fmt.Fprintf(&b, "%s: %s\n", strings.Join(words, " "), f.Detail)
	}
	return b.String()
}

// clientLines has a line "CLIENT VERDICT: SETTINGS" for each client.
func clientLines(r doctor.Report) string {
	var b strings.Builder
	for _, c := range r.Clients {
		words := say(c)
		if words == "" {
			words = "nothing"
		}
		fmt.Fprintf(&b, "%s %s: %s\n", c.Client, c.Verdict, words)
	}
	return b.String()
}

// TestCorpusIsComplete: each kind is found somewhere, except what is said of clients
// that are not simulated.
func TestCorpusIsComplete(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString("\n" + section(txtar.Parse(data), "findings", ""))
	}
	for _, k := range doctor.Kinds() {
		word := strings.TrimSpace(string(k.Kind) + " " + k.Class)
		if k.Kind != doctor.KindUnknown && !strings.Contains(all.String(), " "+word+": ") {
			t.Errorf("no recorded deployment has %s", word)
		}
	}
}
