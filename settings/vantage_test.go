package settings_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// from is a view: what a vantage saw, as "ok", "ok-local", "down" (failing after it
// worked), "never" (failed from the start) or "" (not probed yet).
func from(vantage, saw string) settings.History {
	s := settingstest.Service(s587)
	good := settingstest.Seen(s, at(0))
	bad := settingstest.Failed(s, at(1), settings.FailureNoSTARTTLS)
	again := settingstest.Failed(s, at(2), settings.FailureNoSTARTTLS)
	var all []settings.Observation
	switch saw {
	case "ok":
		all = []settings.Observation{good}
	case "ok-local":
		good.Addresses[0].Local = true
		all = []settings.Observation{good}
	case "down":
		all = []settings.Observation{good, bad, again}
	case "never":
		all = []settings.Observation{bad}
	}
	for i := range all {
		all[i].Vantage = vantage
	}
	return settings.Fold(all...)
}

func TestVantages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		saw                []string
		any, all, majority string
		disagree           string
	}{
		{saw: []string{"ok"}, any: "587:probed", all: "587:probed", majority: "587:probed"},
		{saw: []string{"ok", "ok"}, any: "587:probed", all: "587:probed", majority: "587:probed"},
		{saw: []string{"ok", "never"}, any: "587:probed", all: "", majority: "", disagree: s587 + ": works from a; b: no_starttls: invented"},
		{saw: []string{"never", "ok", "ok"}, any: "587:probed", all: "", majority: "587:probed", disagree: s587 + ": works from b, c; a: no_starttls: invented"},
		{saw: []string{"ok", "down"}, any: "587:probed", all: "587:grace", majority: "587:grace", disagree: s587 + ": works from a; b: no_starttls: invented"},
		{saw: []string{"down", "down"}, any: "587:grace", all: "587:grace", majority: "587:grace"},
		{saw: []string{"ok", ""}, any: "587:probed", all: "587:probed", majority: "587:probed"},
		{saw: []string{"", ""}},
		{saw: []string{"ok-local"}, any: "587:local", all: "587:local", majority: "587:local"},
		{saw: []string{"ok-local", "ok"}, any: "587:probed", all: "587:probed", majority: "587:probed"},
		{saw: []string{"ok-local", "never"}, any: "587:local", all: "", majority: "", disagree: s587 + ": works from a; b: no_starttls: invented"},
	} {
		var views settings.Views
		for i, saw := range tt.saw {
			views = append(views, from(string(rune('a'+i)), saw))
		}
		for policy, want := range map[settings.VantagePolicy]string{settings.VantageAny: tt.any, settings.VantageAll: tt.all, settings.VantageMajority: tt.majority, "": tt.any} {
			p := settings.DefaultPolicy()
			p.Vantage = policy
			for range 2 { // the order of views does not matter
				got := settings.Verify(settingstest.Provider(s587), map[settings.Service]settings.Views{settingstest.Service(s587): views}, at(3), p)
				if say(got.Verified, settings.RoleSubmission) != want {
					t.Errorf("%v by %q: got %q, want %q", tt.saw, policy, say(got.Verified, settings.RoleSubmission), want)
				}
				disagree := ""
				for _, d := range got.Disagree {
					disagree = d.String()
				}
				if disagree != tt.disagree {
					t.Errorf("%v: disagreement %q, want %q", tt.saw, disagree, tt.disagree)
				}
				slices.Reverse(views)
			}
		}
	}
}

// What is stored comes back whole.
func TestEncodeHistory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for _, all := range w.observations {
			for i := range all {
				all[i].Addresses[0].TLS = &settings.TLS{Version: "TLS 1.3", SubjectNames: []string{"mail.example.org"}, NotAfter: at(1)}
				all[i].Addresses[0].Transcript = []string{"S: 220 ü"}
				all[i].Addresses[0].Took = time.Second
			}
			want := settings.Fold(all...)
			data, err := settings.EncodeHistory(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := settings.DecodeHistory(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
				t.Fatalf("(-want +got)\n%s", diff)
			}
		}
	})
}

// The context path is said where all vantages that see the service work agree on it, whoever
// looked last.
func TestVantagesAgreeOnThePath(t *testing.T) {
	t.Parallel()
	const dav = "caldavs://dav.example.org"
	s := settingstest.Service(dav)
	view := func(vantage, path string, minute int, fails bool) settings.History {
		o := settingstest.Seen(s, at(float64(minute)), "BASIC")
		o.Vantage, o.Addresses[0].Path = vantage, path
		all := []settings.Observation{o}
		if fails {
			for i := range 3 {
				o := settingstest.Failed(s, at(float64(minute+1+i)), settings.FailureNoSTARTTLS)
				o.Vantage = vantage
				all = append(all, o)
			}
		}
		return settings.Fold(all...)
	}
	for name, test := range map[string]struct {
		views settings.Views
		want  string
	}{
		"agreed":                 {settings.Views{view("a", "/dav/", 0, false), view("b", "/dav/", 1, false)}, "/dav/"},
		"not agreed":             {settings.Views{view("a", "/dav/", 0, false), view("b", "/cal/", 1, false)}, ""},
		"the other order":        {settings.Views{view("a", "/dav/", 1, false), view("b", "/cal/", 0, false)}, ""},
		"one that fails is mute": {settings.Views{view("a", "/dav/", 5, false), view("b", "/cal/", 0, true)}, "/dav/"},
	} {
		r := settings.Verify(settingstest.Provider(dav), map[settings.Service]settings.Views{s: test.views}, at(6), settings.DefaultPolicy())
		services := r.Verified.Services(settings.RoleCalendar)
		if len(services) != 1 || services[0].Path != test.want {
			t.Errorf("%s: %+v, want the path %q", name, services, test.want)
		}
	}
}
