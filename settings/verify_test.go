package settings_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

const (
	s587  = "submission://smtp.example.org:587"
	s2525 = "submission://smtp.example.org:2525"
	s465  = "submissions://smtp.example.org:465"
	s993  = "imaps://imap.example.org:993"
	s143  = "imap://imap.example.org:143"
	s995  = "pop3s://pop.example.org:995"
	s110  = "pop3://pop.example.org:110"
)

// day is a story of observations, each "MINUTES URL OUTCOME": "15 "+s587+" refused".
type day []string

func at(minutes float64) time.Time {
	return settingstest.Now.Add(time.Duration(minutes * float64(time.Minute)))
}

func (d day) histories() map[settings.Service]settings.Views {
	seen := map[settings.Service][]settings.Observation{}
	for _, line := range d {
		var minutes float64
		var url, outcome string
		if _, err := fmt.Sscan(line, &minutes, &url, &outcome); err != nil {
			panic(line + ": " + err.Error())
		}
		s := settingstest.Service(url)
		o := settingstest.Failed(s, at(minutes), settings.FailureKind(outcome))
		switch outcome {
		case "ok":
			o = settingstest.Seen(s, at(minutes))
		case "ok-local":
			o = settingstest.Seen(s, at(minutes))
			o.Addresses[0].Local = true
		}
		seen[s] = append(seen[s], o)
	}
	histories := map[settings.Service]settings.Views{}
	for s, all := range seen {
		histories[s] = settings.Views{settings.Fold(all...)}
	}
	return histories
}

// say writes a role's answer as "PORT:BASIS PORT:BASIS".
func say(v settings.Verified, r settings.Role) string {
	var words []string
	for _, p := range v.Services(r) {
		words = append(words, fmt.Sprintf("%d:%s", p.Service.Port, p.Basis))
	}
	return strings.Join(words, " ")
}

func TestVerify(t *testing.T) {
	t.Parallel()
	submission := []string{s587, s2525, s465}
	healthy := day{"0 " + s587 + " ok", "0 " + s2525 + " ok", "0 " + s465 + " ok"}
	down := func(url string, kind string, minutes ...float64) day {
		var d day
		for _, m := range minutes {
			d = append(d, fmt.Sprintf("%v %s %s", m, url, kind))
		}
		return d
	}
	up := func(url string, minutes ...float64) day { return down(url, "ok", minutes...) }
	all := func(days ...day) day { return slices.Concat(days...) }

	tests := []struct {
		name     string
		services []string
		day      day
		now      float64 // minutes after settingstest.Now
		want     string
		withheld []settings.Why
	}{
		{name: "587 first, then 2525, then 465, however they are written", services: []string{s465, s2525, s587}, day: healthy, want: "587:probed 2525:probed 465:probed"},
		{name: "never probed", services: submission, want: "", withheld: []settings.Why{settings.WhyNotProbed, settings.WhyNotProbed, settings.WhyNotProbed}},
		{name: "only what was seen to work", services: submission, day: all(up(s465, 0), down(s587, "refused", 0), down(s2525, "no_auth", 0)), want: "465:probed", withheld: []settings.Why{settings.WhyNeverSeen, settings.WhyNeverSeen}},
		{name: "a local observation", services: []string{s587}, day: day{"0 " + s587 + " ok-local"}, want: "587:local"},

		{name: "the first answer waits for one that ranks higher", services: submission, day: up(s465, 0), now: 0.05, want: "", withheld: []settings.Why{settings.WhyNotProbed, settings.WhyNotProbed, settings.WhyUndecided}},
		{name: "but not for one that ranks lower", services: submission, day: up(s587, 0), now: 0.05, want: "587:probed", withheld: []settings.Why{settings.WhyNotProbed, settings.WhyNotProbed}},
		{name: "and not for longer than five seconds", services: submission, day: up(s465, 0), now: 5.0 / 60, want: "465:probed", withheld: []settings.Why{settings.WhyNotProbed, settings.WhyNotProbed}},
		{name: "five seconds from the first success, not the newest", services: submission, day: up(s465, 0, 0.09), now: 0.1, want: "465:probed", withheld: []settings.Why{settings.WhyNotProbed, settings.WhyNotProbed}},
		{name: "a failure is an outcome", services: submission, day: all(up(s465, 0), down(s587, "refused", 0), down(s2525, "timeout", 0)), now: 0.01, want: "465:probed", withheld: []settings.Why{settings.WhyNeverSeen, settings.WhyNeverSeen}},

		{name: "two failures are not enough", services: submission, day: all(healthy, down(s587, "refused", 15, 26)), now: 26, want: "587:probed 2525:probed 465:probed"},
		{name: "three within ten minutes are not enough", services: submission, day: all(healthy, up(s2525, 16), down(s587, "refused", 15, 16, 24)), now: 24, want: "587:probed 2525:probed 465:probed"},
		{name: "three over ten minutes: behind what has succeeded since", services: submission, day: all(healthy, up(s2525, 20), down(s587, "refused", 15, 16, 25)), now: 25, want: "2525:probed 587:grace 465:probed"},
		{name: "behind everything that has succeeded since", services: submission, day: all(healthy, up(s2525, 20), up(s465, 20), down(s587, "refused", 15, 16, 25)), now: 25, want: "2525:probed 465:probed 587:grace"},
		{name: "the first success brings it back", services: submission, day: all(healthy, up(s2525, 20), down(s587, "refused", 15, 16, 25), up(s587, 40)), now: 40, want: "587:probed 2525:probed 465:probed"},
		{name: "when everything is down nothing moves", services: submission, day: all(healthy, down(s587, "refused", 15, 16, 25), down(s2525, "refused", 14, 16, 25), down(s465, "refused", 13, 16, 25)), now: 30, want: "587:grace 2525:grace 465:grace"},
		{name: "grace ends", services: submission, day: all(healthy, down(s587, "refused", 15, 16, 25)), now: 72 * 60, want: "2525:grace 465:grace", withheld: []settings.Why{settings.WhyGraceOver}},
		{name: "for all that fail", services: submission, day: all(healthy, down(s587, "refused", 15, 16, 25), down(s2525, "temporary", 15), down(s465, "refused", 15)), now: 72 * 60, want: "", withheld: []settings.Why{settings.WhyGraceOver, settings.WhyGraceOver, settings.WhyGraceOver}},
		{name: "not a moment earlier", services: submission, day: all(healthy, down(s587, "refused", 15, 16, 25)), now: 72*60 - 0.01, want: "587:grace 2525:grace 465:grace"},

		{name: "an unsafe failure needs one confirmation", services: submission, day: all(healthy, up(s2525, 16), down(s587, "certificate_expired", 15)), now: 15, want: "587:probed 2525:probed 465:probed"},
		{name: "and no more", services: submission, day: all(healthy, up(s2525, 16), down(s587, "certificate_expired", 15, 15.2)), now: 16, want: "2525:probed 587:grace 465:probed"},
		{name: "an unsafe one with nothing better stays", services: []string{s587}, day: all(up(s587, 0), down(s587, "no_starttls", 15, 16)), now: 16, want: "587:grace"},

		{name: "temporary failures do not count", services: submission, day: all(healthy, up(s2525, 20), down(s587, "temporary", 15, 16, 25, 40, 55)), now: 55, want: "587:probed 2525:probed 465:probed"},
		{name: "until the last success is old", services: submission, day: all(healthy, up(s2525, 20), down(s587, "temporary", 15, 16, 25, 60)), now: 60, want: "2525:probed 587:grace 465:grace"},
		{name: "also when the newest of them came before that", services: submission, day: all(healthy, up(s2525, 55), down(s587, "temporary", 15, 30, 50)), now: 61, want: "2525:probed 587:grace 465:grace"},
		{name: "an unsafe failure that ends a row of others", services: submission[:2], day: day{"0 " + s587 + " ok", "0 " + s2525 + " ok", "10 " + s587 + " refused", "12 " + s2525 + " ok", "15 " + s587 + " certificate_expired", "25 " + s587 + " certificate_expired"}, now: 25, want: "2525:probed 587:grace"},
		{name: "grace does not end where only our own network failed", services: []string{s587}, day: all(up(s587, 0), down(s587, "local", 15, 60, 4000)), now: 73 * 60, want: "587:grace"},
		{name: "local failures never count", services: submission, day: all(healthy, up(s2525, 50), down(s587, "local", 15, 16, 25, 60, 90)), now: 50, want: "587:probed 2525:probed 465:probed"},
		{name: "what is not looked at for max_age is no longer fresh, but keeps its place", services: submission, day: all(healthy, up(s2525, 50)), now: 61, want: "587:grace 2525:probed 465:grace"},
		{name: "a clock that jumped back", services: submission, day: healthy, now: -60, want: "587:probed 2525:probed 465:probed"},
		{name: "other ports last, as written", services: []string{"submission://b.example.org:1587", "submissions://a.example.org:587", s465}, day: day{"0 submission://b.example.org:1587 ok", "0 submissions://a.example.org:587 ok", "0 " + s465 + " ok"}, want: "465:probed 1587:probed 587:probed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := settings.Verify(settingstest.Provider(tt.services...), tt.day.histories(), at(tt.now), settings.DefaultPolicy())
			if diff := cmp.Diff(tt.want, say(got.Verified, settings.RoleSubmission)); diff != "" {
				t.Errorf("published (-want +got)\n%s", diff)
			}
			var whys []settings.Why
			for _, w := range got.Withheld {
				whys = append(whys, w.Why)
			}
			if diff := cmp.Diff(tt.withheld, whys); diff != "" {
				t.Errorf("withheld (-want +got)\n%s", diff)
			}
		})
	}
}

func TestVerifyOrdersHostsBehindPorts(t *testing.T) {
	t.Parallel()
	p := settingstest.Provider()
	p.Services = slices.Concat(settings.Candidates("a.example.org"), settings.Candidates("b.example.org"))
	var got []string
	for _, r := range settings.Roles() {
		for _, s := range settingstest.Verify(p).Services(r) {
			got = append(got, s.Service.String())
		}
	}
	want := []string{
		"submission://a.example.org:587", "submission://b.example.org:587",
		"submission://a.example.org:2525", "submission://b.example.org:2525",
		"submissions://a.example.org:465", "submissions://b.example.org:465",
		"imaps://a.example.org:993", "imaps://b.example.org:993",
		"imap://a.example.org:143", "imap://b.example.org:143",
		"pop3s://a.example.org:995", "pop3s://b.example.org:995",
		"pop3://a.example.org:110", "pop3://b.example.org:110",
		"sieve://a.example.org:4190", "sieve://b.example.org:4190",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got)\n%s", diff)
	}
}

func TestVerifyWaitsForIMAPBeforePOP3(t *testing.T) {
	t.Parallel()
	p := settingstest.Provider(s993, s143, s995)
	seen := day{"0 " + s995 + " ok", "0 " + s143 + " refused"}
	early := settings.Verify(p, seen.histories(), at(0.01), settings.DefaultPolicy()).Verified
	if got := say(early, settings.RolePOP3); got != "" || !early.Undecided(settings.RolePOP3) {
		t.Errorf("POP3 is published (%q) while IMAP on 993 has no outcome", got)
	}
	late := settings.Verify(p, seen.histories(), at(1), settings.DefaultPolicy()).Verified
	if got := say(late, settings.RolePOP3); got != "995:probed" {
		t.Errorf("POP3 after five seconds: %q", got)
	}
}

func TestVerifyTrusted(t *testing.T) {
	t.Parallel()
	p := settingstest.Provider(s587, s465)
	p.Trusted = []settings.Trust{{Service: settingstest.Service(s587), Reason: "the data centre blocks 587"}}
	verify := func(d day, minutes float64) string {
		return say(settings.Verify(p, d.histories(), at(minutes), settings.DefaultPolicy()).Verified, settings.RoleSubmission)
	}
	failing := day{"0 " + s587 + " timeout", "1 " + s587 + " timeout", "11 " + s587 + " timeout"}
	for _, tt := range []struct {
		name string
		day  day
		now  float64
		want string
	}{
		{"unseen and alone", day{"0 " + s587 + " timeout", "0 " + s465 + " refused"}, 0, "587:trusted"},
		{"seen as well", day{"0 " + s587 + " ok", "0 " + s465 + " ok"}, 0, "587:probed 465:probed"},
		{"failing, behind what has succeeded since", append(failing, "11 "+s465+" ok"), 11, "465:probed 587:trusted"},
		{"failing, nothing better", failing, 11, "587:trusted"},
		{"grace over", day{"0 " + s587 + " ok", "0 " + s465 + " ok", "1 " + s587 + " refused", "1 " + s465 + " refused"}, 73 * 60, "587:trusted"},
	} {
		if got := verify(tt.day, tt.now); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestVerifySubmissionOrder(t *testing.T) {
	t.Parallel()
	policy := settings.DefaultPolicy()
	policy.SubmissionOrder = []uint16{465, 587, 2525}
	seen := day{"0 " + s587 + " ok", "0 " + s2525 + " ok", "0 " + s465 + " ok"}
	got := say(settings.Verify(settingstest.Provider(s587, s2525, s465), seen.histories(), at(0), policy).Verified, settings.RoleSubmission)
	if got != "465:probed 587:probed 2525:probed" {
		t.Errorf("order %q", got)
	}
}

func TestVerifyNextChange(t *testing.T) {
	t.Parallel()
	p := settingstest.Provider(s587, s465)
	for _, tt := range []struct {
		name string
		day  day
		now  float64
		want time.Time
	}{
		{"nothing known", nil, 0, time.Time{}},
		{"first answer", day{"0 " + s465 + " ok"}, 0, at(0).Add(settings.FirstAnswer)},
		{"no longer fresh", day{"0 " + s587 + " ok"}, 1, at(60)},
		{"grace ends", day{"0 " + s587 + " ok"}, 61, at(72 * 60)},
		{"all over", day{"0 " + s587 + " ok", "1 " + s587 + " refused"}, 73 * 60, time.Time{}},
	} {
		if got := settings.Verify(p, tt.day.histories(), at(tt.now), settings.DefaultPolicy()).NextChange; !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestZeroVerifiedOffersNothing(t *testing.T) {
	t.Parallel()
	var v settings.Verified
	if !v.Empty() {
		t.Error("the zero Verified is not empty")
	}
	_, why, ok := v.Choose(settings.RoleIMAP, func(settings.Published) string { return "" })
	if ok || why != nil {
		t.Errorf("the zero Verified offers %v", why)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	v := settingstest.Verified(s587, s2525, s465)
	implicit := func(p settings.Published) string {
		if p.Service.Security() == settings.ImplicitTLS {
			return ""
		}
		return "only implicit TLS can be said"
	}
	if p, _, ok := v.Choose(settings.RoleSubmission, implicit); !ok || p.Service.Port != 465 {
		t.Errorf("chose %v, %v", p.Service, ok)
	}
	_, why, ok := settingstest.Verified(s587).Choose(settings.RoleSubmission, implicit)
	if diff := cmp.Diff([]string{s587 + ": only implicit TLS can be said"}, why); ok || diff != "" {
		t.Errorf("why (-want +got)\n%s", diff)
	}
}

func TestPublishedPassword(t *testing.T) {
	t.Parallel()
	s := settingstest.Service(s587)
	for mechanism, want := range map[string]settings.Password{
		"PLAIN": settings.PasswordCleartext, "LOGIN": settings.PasswordCleartext,
		"CRAM-MD5": settings.PasswordEncrypted, "SCRAM-SHA-256": settings.PasswordEncrypted,
	} {
		histories := map[settings.Service]settings.Views{s: {settings.Fold(settingstest.Seen(s, at(0), mechanism))}}
		got := settings.Verify(settingstest.Provider(s587), histories, at(0), settings.DefaultPolicy()).Verified.Services(settings.RoleSubmission)
		if len(got) != 1 || got[0].Password != want {
			t.Errorf("%s: %+v, want %s", mechanism, got, want)
		}
	}
}
