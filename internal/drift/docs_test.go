package drift_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"mailconfd/internal/drift"
)

// TestDocs: docs/dns.md has a row for every kind, in their order.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/dns.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(page)) {
		for _, kind := range drift.Kinds() {
			if strings.HasPrefix(line, fmt.Sprintf("| `%s`: ", kind)) {
				rows = append(rows, string(kind))
			}
		}
	}
	var want []string
	for _, kind := range drift.Kinds() {
		want = append(want, string(kind))
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
}
