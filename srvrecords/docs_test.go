package srvrecords_test

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestDocs: docs/dns.md shows the readers and the example as they are.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/dns.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range goldens() {
		set := compile(t, c.result, c.domain, c.opt)
		for _, r := range set.Records {
			label := strings.TrimSuffix(r.Owner, "."+set.Domain+".")
			readers := strings.Join(r.Readers, ", ")
			if readers == "" {
				readers = "no client that we know of"
			}
			row := func(line string) bool {
				return strings.HasPrefix(line, "| `"+label+"` |") && strings.HasSuffix(line, "| "+readers+" |")
			}
			if !slices.ContainsFunc(strings.Split(string(page), "\n"), row) {
				t.Errorf("%s: no row for %s with the readers %s", name, label, readers)
			}
		}
	}
	c := goldens()["not-offered"]
	zone := string(compile(t, c.result, c.domain, c.opt).Zone())
	_, example, _ := strings.Cut(string(page), "```\n")
	example, _, _ = strings.Cut(example, "```\n")
	for line := range strings.Lines(example) {
		if !strings.Contains(zone, line) {
			t.Errorf("the example has a line that is not printed: %s", line)
		}
	}
}
