package web_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"mailconfd/internal/overview"
	"mailconfd/internal/overview/overviewtest"
	"mailconfd/internal/web"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

var update = flag.Bool("update", false, "write testdata/*.golden.html")

func write(t *testing.T, p web.Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func report(t *testing.T, s overviewtest.Source, q overview.Query) overview.Report {
	q.Transcripts = true
	return overviewtest.Maker(s).Report(t.Context(), q)
}

// TestPage keeps whole pages. In a golden that changes, look at the page in a browser,
// dark and on a phone's width too.
func TestPage(t *testing.T) {
	t.Parallel()
	world := overviewtest.World()
	down := overviewtest.World()
	down.Broken = overviewtest.ErrStore
	for name, p := range map[string]web.Page{
		"world": {Report: report(t, world, overview.Query{}), Days: web.DefaultSpan},
		"state": {Report: report(t, down, overview.Query{Provider: "main"}), Days: 1},
		"empty": {Report: report(t, overviewtest.Source{}, overview.Query{}), Days: 90},
		"domain": {
			Report: report(t, world, overview.Query{Provider: "main"}), Days: web.DefaultSpan, Asked: "BÜCHER.example",
			Domain: &overview.Domain{
				Domain: "xn--bcher-kva.example", Unicode: "bücher.example", Provider: "main", Records: json.RawMessage("{}"),
				Formats: []overview.Format{{Format: "autoconfig", Published: true, Document: "<?xml version=\"1.0\"?>\n<clientConfig/>\n"}, {Format: "autodiscover", Reason: overviewtest.Rude}},
			},
		},
		"unknown": {Report: report(t, world, overview.Query{Provider: "-"}), Days: web.DefaultSpan, Asked: overviewtest.Rude, Problem: "domain " + overviewtest.Rude + " is unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := write(t, p)
			checkHTML(t, got)
			file := "testdata/" + name + ".golden.html"
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", file, diff)
			}
		})
	}
}

// checkHTML looks for what must never be in a page: scripts, handlers, anything that is
// loaded, styles beside the one, elements that do not end.
func checkHTML(t *testing.T, page string) {
	t.Helper()
	void := map[string]bool{"meta": true, "input": true}
	var open []string
	z := html.NewTokenizer(strings.NewReader(page))
	for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
		token := z.Token()
		switch kind {
		case html.StartTagToken, html.SelfClosingTagToken:
			switch token.Data {
			case "script", "link", "img", "iframe", "object", "embed", "base":
				t.Errorf("the page has a <%s>", token.Data)
			}
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || a.Key == "href" && strings.Contains(a.Val, ":") {
					t.Errorf("the page has %s=%q", a.Key, a.Val)
				}
			}
			if kind == html.StartTagToken && !void[token.Data] {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("</%s> ends %q", token.Data, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("not ended: %q", open)
	}
}

func TestContentSecurityPolicy(t *testing.T) {
	t.Parallel()
	got := web.ContentSecurityPolicy()
	if !strings.HasPrefix(got, "default-src 'none'; style-src 'sha256-") || strings.Contains(got, "unsafe") {
		t.Error(got)
	}
}

// TestTimeline draws one service: a year well is one piece, and a failure of a minute is
// still seen in ninety days.
func TestTimeline(t *testing.T) {
	t.Parallel()
	now := overviewtest.Now
	p := settingstest.Provider("submission://mail.example.org:587", "imaps://mail.example.org:993")
	old := settingstest.Seen(p.Services[0], now.Add(-365*24*time.Hour))
	for _, tt := range []struct {
		name string
		days int
		seen []settings.Observation
		want []string
	}{
		{"well for a year", 7, nil, []string{`<rect class="works" x="0.0" y="8" width="240.0" height="5"><title>works from 2025-11-24 09:00:00 UTC</title></rect>`}},
		{"one minute", 90, []settings.Observation{
			settingstest.Failed(p.Services[0], now.Add(-45*24*time.Hour), settings.FailureTimeout), settingstest.Seen(p.Services[0], now.Add(-45*24*time.Hour+time.Minute)),
		}, []string{`class="works" x="0.0" y="8" width="120.0"`, `class="fails" x="120.0" y="1" width="2.0"`, `class="works" x="120.0" y="8" width="120.0"`}},
		{"at the very end", 1, []settings.Observation{settingstest.Failed(p.Services[0], now, settings.FailureTimeout)}, []string{`class="works" x="0.0" y="8" width="240.0"`, `class="fails" x="238.0" y="1" width="2.0"`}},
		{"blind", 1, []settings.Observation{settingstest.Failed(p.Services[0], now.Add(-12*time.Hour), settings.FailureLocal)}, []string{`class="works" x="0.0" y="8" width="120.0"`, `class="blind" x="120.0" y="1" width="120.0"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var source overviewtest.Source
			source.Add(p, nil, append(tt.seen, old)...)
			got := write(t, web.Page{Report: report(t, source, overview.Query{}), Days: tt.days})
			for _, want := range tt.want {
				if strings.Count(got, want) != 1 {
					t.Errorf("no single %s", want)
				}
			}
			if n := strings.Count(got, "<title>"); n != 1+len(tt.want) {
				t.Errorf("%d pieces, want %d", n-1, len(tt.want))
			}
		})
	}
}

// TestSize keeps the page of many providers with long dialogues small enough to load.
func TestSize(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("x", 200)
	var source overviewtest.Source
	for i := range 100 {
		p := settingstest.Provider("submission://mail.example.org:587", "imaps://mail.example.org:993", "pop3s://mail.example.org:995")
		p.Name = string(rune('a'+i/26)) + string(rune('a'+i%26))
		var seen []settings.Observation
		for _, s := range p.Services {
			o := settingstest.Failed(s, overviewtest.Now, settings.FailureReset)
			for range 60 {
				o.Addresses[0].Transcript = append(o.Addresses[0].Transcript, line)
			}
			seen = append(seen, o)
		}
		source.Add(p, nil, seen...)
	}
	got := write(t, web.Page{Report: report(t, source, overview.Query{}), Days: web.DefaultSpan})
	if len(got) > 4<<20 || !strings.Contains(got, line) {
		t.Errorf("%d bytes", len(got))
	}
	for _, want := range []string{"100 providers have faults", `<a href="?page=4">4</a>`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
}
