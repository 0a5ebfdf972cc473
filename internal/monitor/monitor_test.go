package monitor_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mailconfd/internal/monitor"
	"mailconfd/internal/store"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

const (
	s587  = "submission://smtp.example.org:587"
	s2525 = "submission://smtp.example.org:2525"
	s465  = "submissions://smtp.example.org:465"
	s993  = "imaps://imap.example.org:993"
)

// world is a prober whose services can be broken and mended.
type world struct {
	mu        sync.Mutex
	broken    map[string]settings.FailureKind
	takes     time.Duration
	probes    map[string][]time.Time
	now, most int // probes running, and the most there ever were
}

func (w *world) set(url string, kind settings.FailureKind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if kind == "" {
		delete(w.broken, url)
		return
	}
	w.broken[url] = kind
}

func (w *world) Probe(ctx context.Context, s settings.Service) settings.Observation {
	w.mu.Lock()
	w.now++
	w.most = max(w.most, w.now)
	w.probes[s.String()] = append(w.probes[s.String()], time.Now())
	takes, kind := w.takes, w.broken[s.String()]
	w.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		kind = settings.FailureLocal
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now--
	if kind != "" {
		return settingstest.Failed(s, time.Now(), kind)
	}
	return settingstest.Seen(s, time.Now())
}

// bench is a running monitor in a bubble of synctest.
type bench struct {
	*world
	*monitor.Monitor
	registry *prometheus.Registry
	said     []string // what was handed on: "main submission 587:probed …"
	newest   settings.Result
	stop     func()
}

// disagreed returns the services about which vantages disagree.
func (b *bench) disagreed() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.newest.Disagree {
		all = append(all, d.Service.String())
	}
	return all
}

func (b *bench) say(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, what)
}

// heard returns what was handed on so far.
func (b *bench) heard() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.said)
}

func (b *bench) last() string {
	said := b.heard()
	return said[len(said)-1]
}

// count returns how often a service was probed.
func (w *world) count(url string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.probes[url])
}

func say(p settings.Provider, r settings.Result) string {
	words := []string{p.Name}
	for _, role := range settings.Roles() {
		for _, s := range r.Verified.Services(role) {
			words = append(words, fmt.Sprintf("%d:%s", s.Service.Port, s.Basis))
		}
	}
	return strings.Join(words, " ")
}

func declared(urls ...string) monitor.Declared {
	return monitor.Declared{
		Providers: []settings.Provider{settingstest.Provider(urls...)},
		Policy:    settings.DefaultPolicy(), Interval: 15 * time.Minute,
	}
}

func start(w *world, s monitor.Store, d monitor.Declared) *bench { return startAt("here", w, s, d) }

func startAt(vantage string, w *world, s monitor.Store, d monitor.Declared) *bench {
	b := &bench{world: w, registry: prometheus.NewRegistry()}
	w.probes = map[string][]time.Time{}
	if w.broken == nil {
		w.broken = map[string]settings.FailureKind{}
	}
	b.Monitor = monitor.New(monitor.Options{
		Prober: w, Store: s, Vantage: vantage, Metrics: b.registry, AtOnce: 3,
		Changed: func(p settings.Provider, r settings.Result) {
			b.say(say(p, r))
			b.mu.Lock()
			defer b.mu.Unlock()
			b.newest = r
		},
		Retired: func(name string) { b.say("retired " + name) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx, d)
	}()
	b.stop = func() {
		cancel()
		<-done
	}
	synctest.Wait()
	return b
}

// pass lets time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestFirstRound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(&world{takes: time.Second}, &store.Memory{}, declared(s465, s2525, s587, s993))
		defer b.stop()
		if err := b.Ready(); err == nil || !strings.Contains(err.Error(), `["main"]`) {
			t.Errorf("ready before the first round is over: %v", err)
		}
		pass(3 * time.Second)
		if got, want := b.last(), "main 587:probed 2525:probed 465:probed 993:probed"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if b.heard()[0] != "main" {
			t.Errorf("the first thing handed on is %q, want nothing published", b.heard()[0])
		}
		if err := b.Ready(); err != nil {
			t.Errorf("not ready after the first round: %v", err)
		}
		if b.most != 3 {
			t.Errorf("%d probes at once, want 3", b.most)
		}
	})
}

func TestFirstAnswerDoesNotWaitForASilentServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		silent := &silent{world: &world{}, url: s587}
		b := start(silent.world, &store.Memory{}, declared())
		b.stop()
		m := monitor.New(monitor.Options{Prober: silent, Store: &store.Memory{}, Changed: func(p settings.Provider, r settings.Result) { b.say(say(p, r)) }})
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx, declared(s587, s465))
		pass(settings.FirstAnswer - time.Millisecond)
		if got := b.last(); got != "main" {
			t.Errorf("before five seconds: %q", got)
		}
		pass(time.Millisecond)
		if got := b.last(); got != "main 465:probed" {
			t.Errorf("after five seconds: %q", got)
		}
		cancel()
		synctest.Wait()
	})
}

// silent answers for every service but one, which it leaves waiting for ever.
type silent struct {
	*world
	url string
}

func (s *silent) Probe(ctx context.Context, service settings.Service) settings.Observation {
	if service.String() == s.url {
		<-ctx.Done()
	}
	return s.world.Probe(ctx, service)
}

func TestHealthyServicesAreLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(&world{}, &store.Memory{}, declared(s587))
		defer b.stop()
		pass(24 * time.Hour)
		if n := b.count(s587); n < 96 || n > 107 {
			t.Errorf("%d probes a day, want 96 to 107: one each 15 minutes less a tenth", n)
		}
		if said := b.heard(); len(said) > 3 {
			t.Errorf("handed on %d times: %q", len(said), said)
		}
	})
}

func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(&world{}, &store.Memory{}, declared(s587, s2525, s465))
		defer b.stop()
		all := "main 587:probed 2525:probed 465:probed"
		b.set(s587, settings.FailureRefused)
		pass(16 * time.Minute)
		if n := b.count(s587); n < 4 {
			t.Errorf("%d looks a minute after the failure, want the second and third within seconds", n)
		}
		if b.last() != all {
			t.Errorf("one minute down: %q", b.last())
		}
		pass(14 * time.Minute)
		if want := "main 2525:probed 465:probed 587:grace"; b.last() != want {
			t.Errorf("after ten minutes: %q, want %q", b.last(), want)
		}
		b.set(s2525, settings.FailureRefused)
		pass(31 * time.Minute)
		if want := "main 465:probed 587:grace 2525:grace"; b.last() != want && b.last() != "main 465:probed 2525:grace 587:grace" {
			t.Errorf("2525 down too: %q, want %q", b.last(), want)
		}
		b.set(s465, settings.FailureRefused)
		before := b.last()
		pass(time.Hour)
		if got := strings.ReplaceAll(b.last(), "465:grace", "465:probed"); got != before {
			t.Errorf("everything down: %q, before %q", b.last(), before)
		}
		b.set(s587, "")
		b.set(s2525, "")
		b.set(s465, "")
		pass(15 * time.Minute)
		if b.last() != all {
			t.Errorf("everything back: %q", b.last())
		}
	})
}

func TestGraceEndsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(&world{}, &store.Memory{}, declared(s587, s993))
		defer b.stop()
		b.set(s587, settings.FailureRefused)
		b.set(s993, settings.FailureLocal)
		pass(time.Hour)
		if got, want := b.last(), "main 587:grace 993:grace"; got != want {
			t.Errorf("after an hour: %q, want %q", got, want)
		}
		pass(71 * time.Hour)
		if got, want := b.last(), "main 993:grace"; got != want {
			t.Errorf("after the grace of what was seen to fail: %q, want %q", got, want)
		}
	})
}

func TestWhatDoesNotWorkYetIsLookedAtSoon(t *testing.T) {
	t.Parallel()
	for _, kind := range []settings.FailureKind{settings.FailureRefused, settings.FailureLocal, settings.FailureTemporary} {
		synctest.Test(t, func(t *testing.T) {
			b := start(&world{broken: map[string]settings.FailureKind{s587: kind}}, &store.Memory{}, declared(s587))
			defer b.stop()
			pass(30 * time.Second)
			b.set(s587, "")
			pass(time.Minute)
			if got, want := b.last(), "main 587:probed"; got != want {
				t.Errorf("%s for 30 s after the start: %q a minute later, want %q", kind, got, want)
			}
		})
	}
}

func TestFirstUnsafeFailureIsConfirmedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(&world{}, &store.Memory{}, declared(s587, s2525))
		defer b.stop()
		b.set(s587, settings.FailureRefused)
		pass(18 * time.Minute) // the looks come minutes apart by now
		b.set(s587, settings.FailureCertificateExpired)
		pass(4*time.Minute + 30*time.Second)
		if got, want := b.last(), "main 2525:probed 587:grace"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestDeclare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(&world{}, &store.Memory{}, declared(s587, s993))
		defer b.stop()
		d := declared(s993, s465)
		d.Providers[0].Name = "other"
		probes := b.count(s993)
		if err := b.Declare(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := []string{"retired main", "other 993:probed", "other 465:probed 993:probed"}
		if diff := cmp.Diff(want, b.heard()[len(b.heard())-3:]); diff != "" {
			t.Errorf("handed on (-want +got)\n%s", diff)
		}
		if b.count(s993) != probes {
			t.Error("a service that stays was probed at once")
		}
		probes = b.count(s587)
		pass(time.Hour)
		if b.count(s587) != probes {
			t.Error("a service that is gone is still probed")
		}
	})
}

// stubborn is a prober that does not end with its context, or breaks down.
type stubborn struct{ panics bool }

func (s stubborn) Probe(ctx context.Context, service settings.Service) settings.Observation {
	if s.panics {
		panic("a mistake")
	}
	<-time.After(time.Hour)
	return settingstest.Seen(service, time.Now())
}

func TestProberThatBreaksItsPromises(t *testing.T) {
	t.Parallel()
	for _, prober := range []stubborn{{panics: true}, {}} {
		synctest.Test(t, func(t *testing.T) {
			var reasons []string
			m := monitor.New(monitor.Options{Prober: prober, Store: &store.Memory{}, Changed: func(_ settings.Provider, r settings.Result) {
				for _, w := range r.Withheld {
					reasons = append(reasons, w.String())
				}
			}})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				m.Run(ctx, declared(s587))
			}()
			pass(5 * time.Minute)
			cancel()
			<-done
			if last := reasons[len(reasons)-1]; !strings.Contains(last, "local: the probe") {
				t.Errorf("got %q, want that the probe did not end", last)
			}
			<-time.After(2 * time.Hour) // what was given up ends, so that the bubble can
		})
	}
}

func TestReloadDuringAProbeDoesNotDoubleIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(&world{takes: time.Minute}, &store.Memory{}, declared(s587))
		defer b.stop()
		for range 3 {
			if err := b.Declare(t.Context(), declared(s993)); err != nil {
				t.Fatal(err)
			}
			if err := b.Declare(t.Context(), declared(s587)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := b.count(s587); n != 1 {
			t.Errorf("%d probes of one service at once", n)
		}
		pass(2 * time.Minute)
		if got, want := b.last(), "main 587:probed"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestReadyStaysReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(&world{}, &store.Memory{}, declared(s587))
		defer b.stop()
		if err := b.Ready(); err != nil {
			t.Fatal(err)
		}
		b.mu.Lock()
		b.takes = time.Minute
		b.mu.Unlock()
		if err := b.Declare(t.Context(), declared(s587, s993)); err != nil {
			t.Fatal(err)
		}
		if err := b.Ready(); err != nil {
			t.Errorf("a reload makes it unready: %v", err)
		}
	})
}

// TestManyProviders would take minutes if work grew with the square of their number.
func TestManyProviders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := declared()
		d.Providers = nil
		for i := range 5000 {
			p := settingstest.Provider(fmt.Sprintf("submission://smtp%d.example.org", i), fmt.Sprintf("imaps://imap%d.example.org", i))
			p.Name = fmt.Sprintf("p%d", i)
			d.Providers = append(d.Providers, p)
		}
		b := start(&world{}, &store.Memory{}, d)
		defer b.stop()
		if err := b.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestStopCutsProbesShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(&world{takes: time.Minute}, &store.Memory{}, declared(s587))
		at := time.Now()
		b.stop()
		if took := time.Since(at); took > 0 {
			t.Errorf("stopping took %s", took)
		}
		if said := b.heard(); len(said) != 1 {
			t.Errorf("a probe cut short was handed on: %q", said)
		}
	})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{broken: map[string]settings.FailureKind{s587: settings.FailureRefused}}
		b := start(w, &store.Memory{}, declared(s587, s465))
		defer b.stop()
		pass(time.Second)
		want := `
# HELP mailconfd_probes_total Probes by scheme and outcome: verified, or the kind of failure.
# TYPE mailconfd_probes_total counter
mailconfd_probes_total{outcome="refused",scheme="submission"} 1
mailconfd_probes_total{outcome="verified",scheme="submissions"} 1
# HELP mailconfd_state_errors_total Times that the state could not be used.
# TYPE mailconfd_state_errors_total counter
mailconfd_state_errors_total 0
# HELP mailconfd_state_generation The generation of the state that the answers come from; replicas that share a state agree within seconds.
# TYPE mailconfd_state_generation gauge
mailconfd_state_generation 2
# HELP mailconfd_state_up Whether the state can be used: 1, or 0 while what is seen is kept in memory only.
# TYPE mailconfd_state_up gauge
mailconfd_state_up 1
# HELP mailconfd_services_published Services that are published, by role and basis.
# TYPE mailconfd_services_published gauge
mailconfd_services_published{basis="probed",role="submission"} 1
# HELP mailconfd_services_withheld Services that are declared and not published, by role and reason.
# TYPE mailconfd_services_withheld gauge
mailconfd_services_withheld{reason="never_seen",role="submission"} 1
`
		if err := testutil.GatherAndCompare(b.registry, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
	})
}
