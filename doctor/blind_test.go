package doctor_test

import (
	"context"
	"strings"
	"testing"

	"mailconfd/doctor"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// dark is a world in which only some of the ways out work. What it cannot look up it
// cannot reach either.
type dark struct {
	doctor.World
	fetch, lookup, probe settings.FailureKind // "": it works
	silent               bool
}

func (d dark) Fetch(ctx context.Context, r doctor.Request) doctor.Hop {
	h := d.World.Fetch(ctx, r)
	if d.fetch == "" || h.Failure != nil && h.Failure.Kind == settings.FailureDNS {
		return h
	}
	return doctor.Hop{Request: r, Failure: &settings.Failure{Kind: d.fetch, Detail: "the way out does not work"}, Silent: d.silent}
}

func (d dark) Lookup(ctx context.Context, name string, kind doctor.RecordType) doctor.Answer {
	if d.lookup == "" {
		return d.World.Lookup(ctx, name, kind)
	}
	return doctor.Answer{Failure: &settings.Failure{Kind: d.lookup, Detail: "no resolver answers"}}
}

func (d dark) Probe(ctx context.Context, s settings.Service) settings.Observation {
	if d.probe == "" {
		return d.World.Probe(ctx, s)
	}
	return failing(s, d.probe)
}

// TestBlind: that our own network does not work is not the domain's fault, and nobody
// may take it for a good report.
func TestBlind(t *testing.T) {
	t.Parallel()
	const local, dns, reset, busy = settings.FailureLocal, settings.FailureDNS, settings.FailureReset, settings.FailureTemporary
	for _, tt := range []struct {
		name    string
		world   dark
		proxied bool
		blind   string // a part of it; "": it is not
	}{
		{"no network", dark{fetch: local, lookup: local, probe: local}, false, "no resolver answers"},
		{"no resolver", dark{fetch: dns, lookup: local, probe: dns}, false, "no resolver answers"},
		{"DNS works and the way out does not", dark{fetch: local, probe: local}, false, "as broken"},
		{"a proxy that takes connections and closes them", dark{fetch: reset, probe: busy, silent: true}, true, "the proxy closes every connection"},
		{"a proxy that closes before a greeting", dark{fetch: reset, probe: settings.FailureProtocol, silent: true}, true, "the proxy closes every connection"},
		{"the same without a proxy", dark{fetch: reset, probe: busy, silent: true}, false, ""},
		{"servers that cannot be tested", dark{probe: local}, false, ""},
		{"servers that are busy", dark{probe: busy}, true, ""},
		{"web servers that cannot be reached", dark{fetch: local}, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.world.World = deploy(t, layouts[1])
			d, err := doctor.New(doctor.Options{World: tt.world, Proxied: tt.proxied})
			if err != nil {
				t.Fatal(err)
			}
			r := d.Examine(t.Context(), settings.Address{Local: "jane", Domain: "example.test"})
			holdsTogether(t, r)
			if tt.blind == "" {
				if r.Blind != "" || r.Verdict == doctor.Works {
					t.Errorf("verdict %s, blind %q", r.Verdict, r.Blind)
				}
				return
			}
			if r.Verdict != doctor.Unknown || !strings.Contains(r.Blind, tt.blind) || !strings.HasPrefix(findingLines(r), "note not_tested: nothing can be seen from here") {
				t.Errorf("verdict %s, blind %q\n%s", r.Verdict, r.Blind, findingLines(r))
			}
			for _, f := range r.Findings {
				if f.Weight != doctor.Note {
					t.Errorf("%s %s: %s", f.Weight, f.Kind, f.Detail)
				}
			}
			for _, c := range r.Clients {
				if c.Verdict != doctor.Unknown {
					t.Errorf("%s %s", c.Client, c.Verdict)
				}
			}
		})
	}
}

// TestBusy: a server that asks to come back later is a warning where nothing else of its
// kind works, and nobody says then that all is well.
func TestBusy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		layout  int
		busy    string
		verdict doctor.Verdict
		weight  string
	}{
		{1, "imaps://mail.example.test:993", doctor.Unknown, "warning"},
		{1, "submission://mail.example.test:587", doctor.Unknown, "warning"},
	} {
		d := deploy(t, layouts[tt.layout])
		for _, s := range d.servers {
			if s.String() == tt.busy {
				d.broken = map[settings.Service]settings.FailureKind{s: settings.FailureTemporary}
			}
		}
		r := examineAs(t, d)
		holdsTogether(t, r)
		if want := tt.weight + " server_busy: " + tt.busy; r.Verdict != tt.verdict || !strings.Contains(findingLines(r), want) {
			t.Errorf("%s: %s\n%s%s", tt.busy, r.Verdict, findingLines(r), clientLines(r))
		}
		for _, c := range r.Clients {
			if c.Verdict == doctor.Fails && tt.verdict == doctor.Unknown {
				t.Errorf("%s: %s fails: %s", tt.busy, c.Client, trace(c))
			}
		}
	}
}

// TestBusyBesideAnother: where another service of the kind works it is only a note.
func TestBusyBesideAnother(t *testing.T) {
	t.Parallel()
	w := loadWorld(t, "testdata/temporary.txtar")
	w.services[settings.Service{Scheme: settings.SchemeSubmissions, Host: "mail.example.test", Port: 465}] = settingstest.Seen(settings.Service{Scheme: settings.SchemeSubmissions, Host: "mail.example.test", Port: 465}, settingstest.Now, "PLAIN", "LOGIN")
	r := examine(t, w, "jane@example.test")
	holdsTogether(t, r)
	if !strings.Contains(findingLines(r), "note server_busy: submission://mail.example.test:587") {
		t.Error(findingLines(r))
	}
}

// TestNobodyIsLeft: that no client is chosen is a mistake, not a good report.
func TestNobodyIsLeft(t *testing.T) {
	t.Parallel()
	if _, err := doctor.New(doctor.Options{Only: []string{"aerc"}, Skip: []string{"aerc"}}); err == nil || !strings.Contains(err.Error(), "no client is left") {
		t.Error(err)
	}
	if _, err := doctor.New(doctor.Options{Only: []string{"pine"}}); err == nil || !strings.Contains(err.Error(), "there are thunderbird, outlook, ") {
		t.Error(err)
	}
}
