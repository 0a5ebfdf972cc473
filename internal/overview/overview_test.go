package overview_test

import (
	"encoding/json"
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/internal/overview"
	"mailconfd/internal/overview/overviewtest"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

var update = flag.Bool("update", false, "write testdata/*.golden")

// TestReport keeps the whole of a report, and holds it against openapi.json.
func TestReport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		query overview.Query
	}{
		{"world", overview.Query{}},
		{"transcripts", overview.Query{Provider: "troubled", Transcripts: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := overviewtest.Maker(overviewtest.World()).Report(t.Context(), tt.query)
			got, err := json.MarshalIndent(r, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if err := overviewtest.Validate("Report", got); err != nil {
				t.Error(err)
			}
			golden(t, "testdata/"+tt.name+".golden", got)
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got)\n%s", name, diff)
	}
}

// levels returns the level of each service, by scheme and port.
func levels(p overview.Provider) map[string]overview.Level {
	all := map[string]overview.Level{}
	for _, s := range p.Services {
		all[string(s.Service.Scheme)+" "+strconv.Itoa(int(s.Service.Port))] = s.Level
	}
	return all
}

// TestLevels is the table of what counts as how bad.
func TestLevels(t *testing.T) {
	t.Parallel()
	now := overviewtest.Now
	service := settingstest.Service("imaps://mail.example.org:993")
	seen := func(ago time.Duration) settings.Observation { return settingstest.Seen(service, now.Add(-ago)) }
	failed := func(ago time.Duration, k settings.FailureKind) settings.Observation {
		return settingstest.Failed(service, now.Add(-ago), k)
	}
	local, warned := seen(0), seen(0)
	local.Addresses[0].Local = true
	warned.Addresses[0].Warnings = []settings.Warning{{Kind: settings.WarnPreauth, Detail: "PREAUTH"}}
	for _, tt := range []struct {
		name string
		seen []settings.Observation
		want overview.Level
		text string
	}{
		{"works", []settings.Observation{seen(0)}, overview.Well, "works"},
		{"behind the firewall", []settings.Observation{local}, overview.Well, "works, seen from behind the firewall only"},
		{"with a warning", []settings.Observation{warned}, overview.Warning, "works"},
		{"failed once", []settings.Observation{seen(time.Minute), failed(0, settings.FailureReset)}, overview.Warning, "published; the newest probe failed: reset: invented"},
		{"our own network", []settings.Observation{seen(time.Minute), failed(0, settings.FailureLocal)}, overview.Warning, "works as far as is known; the newest probe told nothing: local: invented"},
		{"failing", []settings.Observation{seen(3 * time.Minute), failed(time.Minute, settings.FailureNoSTARTTLS), failed(0, settings.FailureNoSTARTTLS)}, overview.Fault, "published in grace, and fails: no_starttls: invented"},
		{"not looked at for long", []settings.Observation{seen(2 * time.Hour)}, overview.Fault, "published in grace: it has not been seen to work for too long"},
		{"grace over", []settings.Observation{seen(100 * time.Hour), failed(0, settings.FailureReset)}, overview.Fault, "last seen to work at 2026-11-20T05:00:00Z; reset: invented"},
		{"nothing there", []settings.Observation{failed(0, settings.FailureRefused)}, overview.Absent, "never seen to work; refused: invented"},
		{"something unusable there", []settings.Observation{failed(0, settings.FailureNoAuth)}, overview.Fault, "never seen to work; no_auth: invented"},
		{"never seen, our own network", []settings.Observation{failed(0, settings.FailureLocal)}, overview.Warning, "never seen to work; local: invented"},
		{"not looked at yet", nil, overview.Waiting, "not probed yet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var source overviewtest.Source
			p := settingstest.Provider("submission://mail.example.org:587", service.String())
			source.Add(p, nil, append(tt.seen, settingstest.Seen(p.Services[0], now))...)
			r := overviewtest.Maker(source).Report(t.Context(), overview.Query{})
			got := r.Providers[0].Services[1]
			if got.Level != tt.want || got.Text != tt.text {
				t.Errorf("got %s %q, want %s %q", got.Level, got.Text, tt.want, tt.text)
			}
		})
	}
}

// TestTroubles looks at one provider with every trouble.
func TestTroubles(t *testing.T) {
	t.Parallel()
	r := overviewtest.Maker(overviewtest.World()).Report(t.Context(), overview.Query{})
	var order []string
	for _, p := range r.Providers {
		order = append(order, p.Provider+" "+string(p.Level))
	}
	if diff := cmp.Diff([]string{"troubled fault", "early waiting", "main well"}, order); diff != "" {
		t.Fatalf("the worst do not come first (-want +got)\n%s", diff)
	}
	want := map[string]overview.Level{
		"submission 587": overview.Fault, "submission 2525": overview.Warning, "submissions 465": overview.Absent,
		"imaps 993": overview.Warning, "imap 143": overview.Warning, "pop3 110": overview.Fault, "sieve 4190": overview.Fault,
	}
	if diff := cmp.Diff(want, levels(r.Providers[0])); diff != "" {
		t.Errorf("levels (-want +got)\n%s", diff)
	}
	first := r.Providers[0].Services[0]
	if first.Service.Port != 2525 || !first.Answer || first.Since == nil || !first.Since.Equal(overviewtest.Now.Add(-25*time.Hour)) {
		t.Errorf("587 fails unsafely and 2525 works: got %s, answer %t, since %v", first.Service, first.Answer, first.Since)
	}
}

func TestNothingToTellClients(t *testing.T) {
	t.Parallel()
	var source overviewtest.Source
	p := settingstest.Provider("submission://mail.example.org:587", "imaps://mail.example.org:993")
	source.Add(p, nil, settingstest.Failed(p.Services[0], overviewtest.Now, settings.FailureRefused), settingstest.Seen(p.Services[1], overviewtest.Now))
	got := overviewtest.Maker(source).Report(t.Context(), overview.Query{}).Providers[0]
	if got.Level != overview.Fault || len(got.Problems) != 1 || !strings.HasPrefix(got.Problems[0].Text, "nothing to send mail with") {
		t.Errorf("a closed port is not there, but without it nobody can send: got %s, %+v", got.Level, got.Problems)
	}
}

func TestStoreIsDown(t *testing.T) {
	t.Parallel()
	world := overviewtest.World()
	world.Broken = overviewtest.ErrStore
	r := overviewtest.Maker(world).Report(t.Context(), overview.Query{})
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := overviewtest.Validate("Report", body); err != nil {
		t.Error(err)
	}
	if r.History != overviewtest.ErrStore.Error() || r.State.Error != r.History || len(r.Providers) != 3 || len(r.Providers[0].Services[0].Newest) == 0 {
		t.Errorf("without the store the rest is still told: %q, %d providers", r.History, len(r.Providers))
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	var source overviewtest.Source
	for i := range 260 {
		p := settingstest.Provider("submission://mail.example.org:587", "imaps://mail.example.org:993")
		p.Name = "p" + strconv.Itoa(1000+i)
		seen := []settings.Observation{settingstest.Seen(p.Services[0], overviewtest.Now), settingstest.Seen(p.Services[1], overviewtest.Now)}
		if i == 200 {
			seen = nil
		}
		source.Add(p, nil, seen...)
	}
	maker := overviewtest.Maker(source)
	for _, tt := range []struct {
		query         overview.Query
		page, pages   int
		first, length string
	}{
		{overview.Query{}, 1, 11, "p1200", "25"},
		{overview.Query{Page: 2}, 2, 11, "p1024", "25"},
		{overview.Query{Page: 99}, 11, 11, "p1250", "10"},
		{overview.Query{Page: -1, Limit: -1}, 1, 11, "p1200", "25"},
		{overview.Query{Limit: 1 << 40}, 1, 3, "p1200", "100"},
		{overview.Query{Provider: "p1007", Page: 7}, 1, 1, "p1007", "1"},
		{overview.Query{Provider: "nobody"}, 1, 1, "", "0"},
	} {
		r := maker.Report(t.Context(), tt.query)
		first := ""
		if len(r.Providers) > 0 {
			first = r.Providers[0].Provider
		}
		if r.Page != tt.page || r.Pages != tt.pages || first != tt.first || strconv.Itoa(len(r.Providers)) != tt.length {
			t.Errorf("%+v: page %d of %d with %d, first %q; want %+v", tt.query, r.Page, r.Pages, len(r.Providers), first, tt)
		}
		if r.Level != overview.Waiting || r.Levels[overview.Well] != 259 || r.Levels[overview.Waiting] != 1 {
			t.Errorf("%+v: the whole counts on each page: %s %v", tt.query, r.Level, r.Levels)
		}
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	now := overviewtest.Now
	world := overviewtest.World()
	got := overview.Certificates(world.Known(), now)
	if len(got) != 2 || got[0].Stage != 7 || got[1].Stage != 0 || len(got[0].Services) != 7 || len(got[1].Services) != 2 {
		t.Errorf("got %+v", got)
	}
	for _, tt := range []struct {
		ahead time.Duration
		want  int
	}{
		{15 * 24 * time.Hour, 0},
		{14*24*time.Hour + 1, 0},
		{14 * 24 * time.Hour, 14},
		{7*24*time.Hour + 1, 14},
		{7 * 24 * time.Hour, 7},
		{2 * 24 * time.Hour, 2},
		{0, 2},
		{-time.Hour, 2},
	} {
		got := overview.Certificates(world.Known(), now.Add(5*24*time.Hour-tt.ahead))
		if got[0].Stage != tt.want {
			t.Errorf("%s before the end: stage %d, want %d", tt.ahead, got[0].Stage, tt.want)
		}
	}
}

// TestDescription holds the sets of the description to those of the code.
func TestDescription(t *testing.T) {
	t.Parallel()
	var api struct {
		Components struct {
			Schemas struct {
				FailureKind, WarningKind, Level struct{ Enum []string }
			}
		}
	}
	if err := json.Unmarshal(overview.OpenAPI(), &api); err != nil {
		t.Fatal(err)
	}
	var failures, warnings, levels []string
	for _, f := range settings.Failures() {
		failures = append(failures, string(f.Kind))
	}
	for _, w := range settings.Warnings() {
		warnings = append(warnings, string(w.Kind))
	}
	for _, l := range overview.Levels() {
		levels = append(levels, string(l))
	}
	schemas := api.Components.Schemas
	if diff := cmp.Diff([][]string{failures, warnings, levels}, [][]string{schemas.FailureKind.Enum, schemas.WarningKind.Enum, schemas.Level.Enum}); diff != "" {
		t.Errorf("openapi.json (-want +got)\n%s", diff)
	}
}

// TestZones: of many zones the worst are told, and a report of one provider tells none.
func TestZones(t *testing.T) {
	t.Parallel()
	looked := overviewtest.Now
	var source overviewtest.Source
	for i := range overview.MaxZones + 20 {
		source.Kept = append(source.Kept, overview.Zone{Zone: strconv.Itoa(i) + ".example", Looked: &looked, Failing: i == overview.MaxZones+10})
	}
	r := overviewtest.Maker(source).Report(t.Context(), overview.Query{})
	z := r.Zones
	if z == nil || z.Count != overview.MaxZones+20 || len(z.First) != overview.MaxZones || z.Level != overview.Warning || !z.First[0].Failing {
		t.Errorf("got %+v", z)
	}
	if r.Level == overview.Warning {
		t.Error("what DNS says counts in the level of what clients are told")
	}
	if r := overviewtest.Maker(source).Report(t.Context(), overview.Query{Provider: "main"}); r.Zones != nil {
		t.Errorf("of one provider: %+v", r.Zones)
	}
}
