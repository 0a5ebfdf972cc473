package server_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"mailconfd/internal/server"
)

// TestDocs holds docs/http.md to the table of outcomes: each is a row with its status
// and, where it has one, its text.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range server.Replies() {
		found := false
		for row := range strings.Lines(string(page)) {
			text := strings.TrimSuffix(r.Text, "\n")
			found = found || strings.HasPrefix(row, fmt.Sprintf("| %d |", r.Status)) && strings.Contains(row, text)
		}
		if !found {
			t.Errorf("docs/http.md has no row for %d %q", r.Status, r.Text)
		}
	}
}
