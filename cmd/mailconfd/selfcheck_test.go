package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mailconfd/config"
	"mailconfd/doctor"
	"mailconfd/settings"
)

// looking is a self-check whose doctor says what a test wants.
type looking struct {
	*selfCheck
	log bytes.Buffer

	mu     sync.Mutex
	report doctor.Report
	err    error
	asked  []string
}

func newLooking(domains ...string) *looking {
	l := &looking{}
	l.selfCheck = newSelfCheck(world{}, slog.New(slog.NewTextHandler(&l.log, nil)), prometheus.NewRegistry())
	l.examine = func(_ context.Context, a settings.Address) (doctor.Report, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.asked = append(l.asked, a.String())
		return l.report, l.err
	}
	var samples []sample
	for _, d := range domains {
		samples = append(samples, sample{"main", d})
	}
	l.samples.Store(&samples)
	return l
}

func (l *looking) say(err error, findings ...doctor.Finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report, l.err = doctor.Report{Findings: findings}, err
}

func (l *looking) looks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asked)
}

func TestSelfCheckSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLooking("example.org")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.run(ctx)
		}()
		for range 5 { // a burst of changes is looked at once, and soon
			l.poke()
			<-time.After(time.Second)
		}
		<-time.After(selfCheckSettle)
		synctest.Wait()
		if n := l.looks(); n != 1 {
			t.Fatalf("looked %d times after changes", n)
		}
		<-time.After(24 * time.Hour)
		synctest.Wait()
		if n := l.looks(); n < 4 || n > 6 {
			t.Errorf("looked %d times in a day and a bit", n)
		}
		l.poke()
		stop() // does not wait for the look that would come
		<-done
	})
}

func TestSelfCheckTells(t *testing.T) {
	t.Parallel()
	fault := doctor.Finding{Kind: doctor.KindNothingFound, Weight: doctor.Fault, Detail: "no settings", Affected: []string{"Thunderbird"}}
	other := doctor.Finding{Kind: doctor.KindNotReached, Weight: doctor.Fault, Detail: "closed"}
	warning := doctor.Finding{Kind: doctor.KindSlow, Weight: doctor.Warning}
	const unknown = -1 // no count at all
	l := newLooking("example.org")
	for _, step := range []struct {
		err      error
		findings []doctor.Finding
		log      string // a part of what is logged; "": nothing
		faults   float64
	}{
		{errors.New("no resolver"), nil, "cannot look", unknown},
		{nil, nil, "finds no fault", 0},
		{nil, []doctor.Finding{warning}, "", 0},
		{nil, []doctor.Finding{fault, warning}, "kind=nothing_found", 1},
		{nil, []doctor.Finding{fault}, "", 1},
		{nil, []doctor.Finding{other, fault}, "kind=port_closed", 2},
		{nil, []doctor.Finding{fault, other}, "", 2},       // the same set
		{errors.New("no resolver"), nil, "cannot look", 2}, // no news is not good news
		{errors.New("no resolver"), nil, "", 2},
		{nil, nil, "finds no fault", 0},
	} {
		l.log.Reset()
		l.say(step.err, step.findings...)
		l.look(t.Context())
		if logged := l.log.String(); !strings.Contains(logged, step.log) || (step.log == "") != (logged == "") {
			t.Errorf("%+v: logged %q", step, logged)
		}
		got := float64(unknown)
		if testutil.CollectAndCount(l.selfCheck.findings) > 0 {
			got = testutil.ToFloat64(l.selfCheck.findings.WithLabelValues("fault"))
		}
		if got != step.faults {
			t.Errorf("%+v: %v faults counted", step, got)
		}
		failed := map[bool]float64{true: 1}[step.err != nil]
		if got := testutil.ToFloat64(l.failed.WithLabelValues()); got != failed {
			t.Errorf("%+v: %v domains count as failed", step, got)
		}
	}
	if diff := cmp.Diff("self-check@example.org", l.asked[0]); diff != "" {
		t.Error(diff)
	}
}

// A domain that cannot be looked at counts as it did, beside others; one that is no longer
// looked at counts no more.
func TestSelfCheckCounts(t *testing.T) {
	t.Parallel()
	fault := doctor.Finding{Kind: doctor.KindNotReached, Weight: doctor.Fault}
	l := newLooking("a.example", "b.example")
	gone := errors.New("no time")
	for _, step := range []struct {
		a, b           int   // faults
		err            error // of b
		faults, failed float64
	}{
		{1, 2, nil, 3, 0},
		{1, 0, gone, 3, 1},
		{0, 0, gone, 2, 1},
		{0, 0, nil, 0, 0},
		{0, 4, nil, 4, 0},
	} {
		l.examine = func(_ context.Context, a settings.Address) (doctor.Report, error) {
			if a.Domain == "a.example" {
				return doctor.Report{Findings: slices.Repeat([]doctor.Finding{fault}, step.a)}, nil
			}
			return doctor.Report{Findings: slices.Repeat([]doctor.Finding{fault}, step.b)}, step.err
		}
		l.look(t.Context())
		faults, failed := testutil.ToFloat64(l.selfCheck.findings.WithLabelValues("fault")), testutil.ToFloat64(l.failed.WithLabelValues())
		if faults != step.faults || failed != step.failed {
			t.Errorf("%+v: %v faults, %v failed", step, faults, failed)
		}
	}
	l.samples.Store(&[]sample{{"main", "a.example"}})
	l.look(t.Context())
	if got := testutil.ToFloat64(l.selfCheck.findings.WithLabelValues("fault")); got != 0 {
		t.Errorf("%v faults of a domain that is gone", got)
	}
}

// Names only: a wildcard or an MX host is no domain to ask for. Off means off.
func TestSelfCheckSamples(t *testing.T) {
	t.Parallel()
	const text = `
providers:
  - {name: a, hosts: [mail.example.org]}
  - {name: b, hosts: [mail.example.net]}
domains:
  - {name: "*.customers.example", provider: a}
  - {name: example.org, provider: a}
  - {name: example.com, provider: a}
  - {mx: [mx.example.net], provider: b}
`
	cfg, _, err := config.Parse("x.yaml", []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]sample{{"a", "example.org"}}, samplesOf(cfg), cmp.AllowUnexported(sample{})); diff != "" {
		t.Error(diff)
	}
	cfg.SelfCheck = false
	if got := samplesOf(cfg); got != nil {
		t.Error(got)
	}
}
