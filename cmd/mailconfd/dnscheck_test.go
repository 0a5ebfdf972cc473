package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mailconfd/config"
	"mailconfd/internal/drift"
	"mailconfd/internal/lab"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// TestDNSCheck follows one domain of the lab: before the first probes, never published,
// published, in grace, withdrawn, and while DNS is down.
func TestDNSCheck(t *testing.T) {
	t.Parallel()
	internet, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = internet.Close() })
	const text = `
resolver: %q
probe: {via: %q}
providers:
  - {name: main, services: ["submissions://mail.example.test:465", "imaps://mail.example.test:993"]}
domains:
  - {name: example.test, provider: main}
`
	cfg, _, err := config.Parse("x.yaml", fmt.Appendf(nil, text, internet.Resolver(), internet.ProxyURL()), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	w, err := (&app{log: logger}).outside(cfg, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var known results
	d := newDNSCheck(w, newAddressBook(w), &known, "", logger, prometheus.NewRegistry())
	d.now = func() time.Time { return settingstest.Now }
	d.take(cfg)

	p := cfg.Providers[0]
	submissions, imaps := p.Services[0], p.Services[1]
	verify := func(old time.Duration) settings.Result { // imaps was seen so long ago, and has failed since
		histories := map[settings.Service]settings.Views{
			submissions: {settings.Fold(settingstest.Seen(submissions, settingstest.Now))},
			imaps:       {settings.Fold(settingstest.Seen(imaps, settingstest.Now.Add(-old)))},
		}
		if old > 0 {
			at := settingstest.Now.Add(-old)
			seen := []settings.Observation{settingstest.Seen(imaps, at)}
			for at = at.Add(time.Minute); at.Before(settingstest.Now); at = at.Add(old / 8) {
				seen = append(seen, settingstest.Failed(imaps, at, settings.FailureRefused))
			}
			histories[imaps] = settings.Views{settings.Fold(seen...)}
		}
		return settings.Verify(p, histories, settingstest.Now, settings.DefaultPolicy())
	}
	records := func(text string) {
		var all []dns.RR
		parser := dns.NewZoneParser(strings.NewReader(text), ".", "")
		for rr, more := parser.Next(); more; rr, more = parser.Next() {
			all = append(all, rr)
		}
		if parser.Err() != nil {
			t.Fatal(parser.Err())
		}
		internet.SetRecords(all)
	}
	const published = `
_submissions._tcp.example.test. 86400 SRV 0 1 465 mail.example.test.
_imaps._tcp.example.test.       86400 SRV 0 1 993 mail.example.test.
`
	at := sample{"main", "example.test"}
	works := d.ask
	for _, step := range []struct {
		name    string
		result  settings.Result
		records string
		broken  error
		want    []string // kinds, without what the lab always has; nil: not known
		log     string   // a part of what is logged; "": nothing
	}{
		{"nothing is known", settings.Result{}, published, nil, nil, ""},
		{"the first look fails", verify(0), published, errors.New("no resolver"), nil, "no resolver"},
		{"never published", verify(0), "", nil, []string{"unpublished"}, "no drift"},
		{"published, with another TTL", verify(0), published, nil, []string{}, ""},
		{"in grace", verify(12 * time.Hour), published, nil, []string{}, ""},
		{"withdrawn", verify(90 * 24 * time.Hour), published, nil, []string{"unverified"}, "kind=unverified"},
		{"DNS is down", verify(0), published, errors.New("no resolver"), []string{"unverified"}, "no resolver"},
		{"half is there", verify(0), published[:strings.Index(published, "_imaps")], nil, []string{"missing"}, "kind=missing"},
		{"as before", verify(0), published[:strings.Index(published, "_imaps")], nil, []string{"missing"}, ""},
	} {
		log.Reset()
		records(step.records)
		if step.result.Verified.Provider().Name != "" {
			known.set("main", step.result)
		}
		d.ask = works
		if step.broken != nil {
			d.ask = func(context.Context, drift.Want) (drift.Seen, error) { return drift.Seen{}, step.broken }
		}
		if err := d.lookAt(t.Context(), at); !errors.Is(err, step.broken) {
			t.Errorf("%s: %v", step.name, err)
		}
		d.count([]sample{at})
		var got []string
		if of := d.of("main"); of != nil {
			got = []string{}
			for _, f := range of.Findings {
				if !slices.Contains([]string{"unsigned", "not_asked", "not_validated"}, f.Kind) {
					got = append(got, f.Kind)
				}
			}
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		if logged := log.String(); !strings.Contains(logged, step.log) || (step.log == "") != (logged == "") {
			t.Errorf("%s: logged %q", step.name, logged)
		}
		series := testutil.CollectAndCount(d.gauge)
		if want := map[bool]int{true: len(drift.Kinds())}[step.want != nil]; series != want {
			t.Errorf("%s: %d series, want %d", step.name, series, want)
		}
		for _, kind := range step.want {
			if n := testutil.ToFloat64(d.gauge.WithLabelValues(kind, string(drift.Kind(kind).Weight()))); n != 1 {
				t.Errorf("%s: %s counts %v", step.name, kind, n)
			}
		}
	}

	// A domain that is looked at no more counts no more.
	cfg.SelfCheck = false
	d.take(cfg)
	d.count(samplesOf(cfg))
	if d.of("main") != nil || testutil.ToFloat64(d.gauge.WithLabelValues("missing", "fault")) != 0 {
		t.Error("what was found outlives its domain")
	}
}
