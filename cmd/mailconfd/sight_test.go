package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/rogpeppe/go-internal/testscript"

	"mailconfd/internal/overview"
	"mailconfd/internal/overview/overviewtest"
)

// lint: lint holds the metrics that the last get has brought to Prometheus's rules, which
// are those of "promtool check metrics", to docs/metrics.md, and to having no name as label.
func lint(ts *testscript.TestScript, neg bool, _ []string) {
	text := ts.ReadFile("stdout")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	ts.Check(err)
	for _, p := range problems {
		ts.Logf("%s: %s", p.Metric, p.Text)
	}
	if (len(problems) > 0) != neg {
		ts.Fatalf("%d problems", len(problems))
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	ts.Check(err)
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); words[1] == "HELP" && strings.HasPrefix(words[2], "mailconfd_") && !strings.Contains(string(page), "| `"+words[2]+"` |") {
			ts.Fatalf("docs/metrics.md lacks %s", words[2])
		}
		if strings.HasPrefix(line, "mailconfd_") && strings.Contains(line, "example") {
			ts.Fatalf("a name has become a label: %s", line)
		}
	}
}

// TestExpiriesAreToldOnce lets a certificate run out day by day, and be renewed.
func TestExpiriesAreToldOnce(t *testing.T) {
	t.Parallel()
	start := overviewtest.Now
	until := start.Add(20 * 24 * time.Hour)
	told := expiries{}
	var days []int
	look := func(now time.Time, key string, until time.Time, stage int) {
		for _, c := range told.news([]overview.Certificate{{NotAfter: until, Key: key, Stage: stage}}, now) {
			days = append(days, c.Stage)
		}
	}
	for hour := range 24 * 30 {
		now := start.Add(time.Duration(hour) * time.Hour)
		left := until.Sub(now)
		stage := 0
		for _, s := range overview.Stages() {
			if left <= time.Duration(s)*24*time.Hour {
				stage = s
			}
		}
		look(now, "old", until, stage)
		if hour == 24*15 {
			told.news(nil, now) // not seen for a while
		}
	}
	if !slices.Equal(days, []int{14, 7, 2}) {
		t.Errorf("told at %v days", days)
	}
	days = nil
	look(until, "new", until.Add(90*24*time.Hour), 0)
	look(until.Add(80*24*time.Hour), "new", until.Add(90*24*time.Hour), 14)
	if !slices.Equal(days, []int{14}) {
		t.Errorf("the renewed one is told at %v days", days)
	}
	if len(told) != 1 {
		t.Errorf("%d certificates are remembered, want the new one alone", len(told))
	}
}

// TestStatusFits prints the awkward world on a narrow and on a wide screen.
func TestStatusFits(t *testing.T) {
	t.Parallel()
	r := overviewtest.Maker(overviewtest.World()).Report(t.Context(), overview.Query{})
	for _, width := range []int{60, 100} {
		var b bytes.Buffer
		screen{Writer: &b, width: width}.status(r, "http://127.0.0.1:9090")
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > width {
				t.Errorf("%d columns in %d: %q", n, width, line)
			}
		}
		for _, want := range []string{
			"✗ 1 provider has a fault\n", "✗ troubled (2 domains: troubled.example, *.customers.troubled.example)", "submission   2525  ! told to clients, probed  1 day",
			"pop3     110   ✗ withheld: grace over", "submissions  465   – not there", "sieve       4190  ✓ told to clients, trusted",
		} {
			if squeeze(b.String(), want) == "" && width == 100 {
				t.Errorf("%d columns: %q is missing in\n%s", width, want, b.String())
			}
		}
	}
}

// squeeze returns want if a text holds it, whatever the number of spaces.
func squeeze(text, want string) string {
	if strings.Contains(strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(want), " ")) {
		return want
	}
	return ""
}

func TestAdminURL(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, listen := range []string{"127.0.0.1:9090", "0.0.0.0:9090", "[::]:9090", ":9090", "[::1]:1", "10.0.0.1:80", "localhost:80", ""} {
		url, err := adminURL(listen)
		if err != nil {
			url = "error"
		}
		got[listen] = url
	}
	want := map[string]string{
		"127.0.0.1:9090": "http://127.0.0.1:9090", "0.0.0.0:9090": "http://127.0.0.1:9090", "[::]:9090": "http://[::1]:9090", ":9090": "http://127.0.0.1:9090",
		"[::1]:1": "http://[::1]:1", "10.0.0.1:80": "http://10.0.0.1:80", "localhost:80": "http://localhost:80", "": "error",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
