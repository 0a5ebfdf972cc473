package monitor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/internal/monitor"
	"mailconfd/internal/store"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// fragile is a store that can be broken: then every method fails, at once or, when it
// hangs, with its context.
type fragile struct {
	store.Memory
	broken, hangs atomic.Bool
}

func (f *fragile) fault(ctx context.Context) error {
	if f.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if f.broken.Load() {
		return errors.New("disk full")
	}
	return nil
}

func (f *fragile) Declare(ctx context.Context, w monitor.Watcher, services []settings.Service, now time.Time) error {
	if err := f.fault(ctx); err != nil {
		return err
	}
	return f.Memory.Declare(ctx, w, services, now)
}

func (f *fragile) Claim(ctx context.Context, w monitor.Watcher, now time.Time, n int) ([]monitor.Claim, error) {
	if err := f.fault(ctx); err != nil {
		return nil, err
	}
	return f.Memory.Claim(ctx, w, now, n)
}

func (f *fragile) Save(ctx context.Context, c monitor.Claim, e monitor.Entry) (int64, error) {
	if err := f.fault(ctx); err != nil {
		return 0, err
	}
	return f.Memory.Save(ctx, c, e)
}

func (f *fragile) Since(ctx context.Context, generation int64) ([]monitor.Entry, int64, error) {
	if err := f.fault(ctx); err != nil {
		return nil, 0, err
	}
	return f.Memory.Since(ctx, generation)
}

func (f *fragile) Release(ctx context.Context, c monitor.Claim) error {
	if err := f.fault(ctx); err != nil {
		return err
	}
	return f.Memory.Release(ctx, c)
}

const (
	all587 = "main 587:probed 2525:probed 465:probed"
	to2525 = "main 2525:probed 465:probed 587:grace"
)

func TestStartWithoutAStore(t *testing.T) {
	t.Parallel()
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := &fragile{}
			f.broken.Store(true)
			f.hangs.Store(hangs)
			b := start(&world{}, f, declared(s587))
			defer b.stop()
			pass(30 * time.Second)
			if b.last() != "main 587:probed" || b.State() == nil {
				t.Errorf("got %q, state %v, want that it serves without", b.last(), b.State())
			}
			b.set(s587, settings.FailureRefused)
			pass(time.Hour)
			if got, want := b.last(), "main 587:grace"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if n := b.count(s587); n < 8 || n > 25 {
				t.Errorf("%d probes an hour", n)
			}
			f.hangs.Store(false)
			f.broken.Store(false)
			pass(time.Minute)
			if err := b.State(); err != nil {
				t.Errorf("after a minute it is still down: %v", err)
			}
		})
	}
}

// What was seen while the store was down is in force, and is saved when it is back.
func TestStoreGoesAndComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fragile{}
		b := start(&world{}, f, declared(s587, s2525, s465))
		defer b.stop()
		pass(time.Minute)
		f.broken.Store(true)
		b.set(s587, settings.FailureRefused)
		pass(time.Hour)
		if b.last() != to2525 {
			t.Fatalf("while the store is down: %q, want %q", b.last(), to2525)
		}
		said := len(b.heard())
		f.broken.Store(false)
		pass(time.Hour)
		if more := b.heard()[said:]; len(more) != 0 {
			t.Errorf("the store came back, and was heard: %q", more)
		}
		entries, _, err := f.Since(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Service.String() == s587 && e.History.Failed.Count < 5 {
				t.Errorf("failures seen meanwhile were not saved: %+v", e.History.Failed)
			}
		}
	})
}

func TestRestartDuringAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := &world{}, &store.Memory{}
		d := declared(s587, s2525, s465)
		b := start(w, s, d)
		b.set(s587, settings.FailureRefused)
		pass(16 * time.Minute) // it has failed a few times, not for long enough
		if b.last() != all587 {
			t.Fatalf("a minute after the failure: %q", b.last())
		}
		b.stop()
		for _, url := range []string{s2525, s465} {
			b.set(url, settings.FailureRefused)
		}
		b = start(w, s, d)
		if b.last() != all587 {
			t.Errorf("after a restart: %q, want %q", b.last(), all587)
		}
		if err := b.Ready(); err != nil {
			t.Errorf("after a restart it is not ready: %v", err)
		}
		b.set(s2525, "")
		b.set(s465, "")
		pass(15 * time.Minute) // the failures before and after the restart make one run
		if b.last() != to2525 {
			t.Errorf("fifteen minutes later: %q, want %q", b.last(), to2525)
		}
		b.stop()
		pass(24 * time.Hour)
		for _, url := range []string{s587, s2525, s465} {
			b.set(url, settings.FailureRefused)
		}
		b = start(w, s, d)
		if want := "main 2525:grace 465:grace 587:grace"; b.last() != want {
			t.Errorf("a day later, everything down: %q, want %q", b.last(), want)
		}
		b.set(s587, "")
		pass(6 * time.Minute)
		if want := "main 587:probed 2525:grace 465:grace"; b.last() != want {
			t.Errorf("587 is back: %q, want %q", b.last(), want)
		}
		b.stop()
	})
}

func TestRestartDoesNotProbeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := &world{}, &store.Memory{}
		for range 5 {
			b := start(w, s, declared(s587))
			pass(time.Minute)
			b.stop()
		}
		if n := len(w.probes[s587]); n != 0 { // start forgets the probes of the run before
			t.Errorf("%d probes in the last of five short runs, want none before it is due", n)
		}
	})
}

// Several processes at one store probe each service once, and agree.
func TestReplicas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store.Memory{}
		w := &world{takes: time.Second}
		var all []*bench
		for range 3 {
			all = append(all, start(w, s, declared(s587, s2525, s465, s993)))
		}
		agree := func(when, want string) {
			t.Helper()
			for i, b := range all {
				if b.last() != want {
					t.Errorf("%s: %d says %q, want %q", when, i, b.last(), want)
				}
			}
		}
		pass(4 * time.Second)
		agree("first round", all587+" 993:probed")
		pass(24 * time.Hour)
		for _, url := range []string{s587, s2525, s465, s993} {
			if n := w.count(url); n < 96 || n > 107 {
				t.Errorf("%s: %d probes a day by three processes, want 96 to 107", url, n)
			}
		}
		w.set(s587, settings.FailureRefused)
		pass(31 * time.Minute)
		agree("587 down", "main 2525:probed 465:probed 587:grace 993:probed")
		all[0].stop()
		all = all[1:]
		w.set(s587, "")
		pass(16 * time.Minute)
		agree("587 back, one process gone", all587+" 993:probed")
		for _, b := range all {
			b.stop()
		}
	})
}

// A process that dies with claims in its hands is made up for when they run out.
func TestKilledReplica(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store.Memory{}
		dead := monitor.Watcher{Vantage: "here", Owner: "dead", Lease: 2 * time.Minute, Interval: 15 * time.Minute}
		if err := s.Declare(t.Context(), dead, settingstest.Services(s587), time.Now()); err != nil {
			t.Fatal(err)
		}
		if claims, _ := s.Claim(t.Context(), dead, time.Now(), 9); len(claims) != 1 {
			t.Fatalf("claims: %v", claims)
		}
		b := start(&world{}, s, declared(s587))
		defer b.stop()
		pass(119 * time.Second)
		if n := b.count(s587); n != 0 {
			t.Errorf("%d probes while another has the lease", n)
		}
		pass(2 * time.Second)
		if b.last() != "main 587:probed" {
			t.Errorf("two minutes later: %q", b.last())
		}
	})
}

func TestStopGivesClaimsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := &world{takes: time.Minute}, &store.Memory{}
		b := start(w, s, declared(s587))
		b.stop()
		b = start(w, s, declared(s587))
		if n := b.count(s587); n != 1 {
			t.Errorf("%d probes at once after a stop that cut one short, want 1", n)
		}
		b.stop()
	})
}

// Two vantages: what one cannot reach, the other sees; one that is given up loses its voice.
func TestVantages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store.Memory{}
		d := declared(s587, s993)
		inside := &world{broken: map[string]settings.FailureKind{s587: settings.FailureNoSTARTTLS}}
		office := startAt("office", inside, s, d)
		if office.last() != "main 993:probed" {
			t.Errorf("the office alone: %q", office.last())
		}
		outside := startAt("outside", &world{}, s, d)
		pass(2 * time.Second)
		for _, b := range []*bench{office, outside} {
			if want := "main 587:probed 993:probed"; b.last() != want {
				t.Errorf("both: %q, want %q", b.last(), want)
			}
			if !slices.Contains(b.disagreed(), s587) {
				t.Errorf("no disagreement was told: %v", b.disagreed())
			}
		}
		outside.stop()
		pass(2 * time.Hour)
		if want := "main 993:probed"; office.last() != want {
			t.Errorf("two hours after the other was given up: %q, want %q", office.last(), want)
		}
		office.stop()
	})
}

// A store that was set back to a backup gets what is known here.
func TestStoreSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &replaceable{}
		s.current.Store(&store.Memory{})
		b := start(&world{}, s, declared(s587))
		defer b.stop()
		pass(time.Minute)
		b.set(s587, settings.FailureRefused)
		s.current.Store(&store.Memory{})
		pass(2 * time.Second)
		if got, want := b.last(), "main 587:probed"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		pass(time.Hour)
		if got, want := b.last(), "main 587:grace"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		entries, _, _ := s.Since(t.Context(), 0)
		if len(entries) != 1 || entries[0].History.FirstSuccess.IsZero() {
			t.Errorf("the new store has %+v", entries)
		}
	})
}

// skewed sees everything with a clock of its own.
type skewed struct {
	*world
	ahead atomic.Int64
}

func (s *skewed) Probe(ctx context.Context, service settings.Service) settings.Observation {
	o := s.world.Probe(ctx, service)
	o.At = o.At.Add(time.Duration(s.ahead.Load()))
	return o
}

// A clock that jumps forward and is set right again neither moves anything nor stops it.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			b := start(&world{}, &store.Memory{}, declared())
			b.stop()
			clock := &skewed{world: b.world}
			m := monitor.New(monitor.Options{Prober: clock, Store: &store.Memory{}, Changed: func(p settings.Provider, r settings.Result) { b.say(say(p, r)) }})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				m.Run(ctx, declared(s587, s2525, s465))
			}()
			pass(time.Minute)
			for _, ahead := range []time.Duration{jump, 0} {
				clock.ahead.Store(int64(ahead))
				pass(16 * time.Minute)
				if strings.ReplaceAll(b.last(), "grace", "probed") != all587 { // the basis may change; what clients are told does not
					t.Errorf("%s: with the clock %s ahead: %q", jump, ahead, b.last())
				}
			}
			b.set(s587, settings.FailureRefused)
			pass(31 * time.Minute)
			if b.last() != to2525 {
				t.Errorf("%s: after an outage: %q", jump, b.last())
			}
			cancel()
			<-done
		})
	}
}

// replaceable is a store behind which another can be put.
type replaceable struct{ current atomic.Pointer[store.Memory] }

func (r *replaceable) Declare(ctx context.Context, w monitor.Watcher, services []settings.Service, now time.Time) error {
	return r.current.Load().Declare(ctx, w, services, now)
}

func (r *replaceable) Hurry(ctx context.Context, w monitor.Watcher, due map[settings.Service]time.Time) error {
	return r.current.Load().Hurry(ctx, w, due)
}

func (r *replaceable) Claim(ctx context.Context, w monitor.Watcher, now time.Time, n int) ([]monitor.Claim, error) {
	return r.current.Load().Claim(ctx, w, now, n)
}

func (r *replaceable) Save(ctx context.Context, c monitor.Claim, e monitor.Entry) (int64, error) {
	return r.current.Load().Save(ctx, c, e)
}

func (r *replaceable) Release(ctx context.Context, c monitor.Claim) error {
	return r.current.Load().Release(ctx, c)
}

func (r *replaceable) Since(ctx context.Context, generation int64) ([]monitor.Entry, int64, error) {
	return r.current.Load().Since(ctx, generation)
}

func (r *replaceable) Changes(ctx context.Context, s settings.Service, n int) ([]settings.Observation, error) {
	return r.current.Load().Changes(ctx, s, n)
}

func (r *replaceable) Prune(ctx context.Context, before time.Time, keep int) error {
	return r.current.Load().Prune(ctx, before, keep)
}

func (r *replaceable) Close() error { return nil }

func TestSameOutcome(t *testing.T) {
	t.Parallel()
	s := settingstest.Service(s587)
	seen, refused := settingstest.Seen(s, settingstest.Now), settingstest.Failed(s, settingstest.Now, settings.FailureRefused)
	timeout := settingstest.Failed(s, settingstest.Now, settings.FailureTimeout)
	for _, tt := range []struct {
		a, b settings.Observation
		want bool
	}{
		{settings.Observation{}, settings.Observation{}, true},
		{settings.Observation{}, seen, false},
		{settings.Observation{}, refused, false},
		{seen, settingstest.Seen(s, settingstest.Now.Add(time.Hour), "LOGIN"), true},
		{seen, refused, false},
		{refused, timeout, false},
		{refused, refused, true},
	} {
		if got := monitor.SameOutcome(tt.a, tt.b); got != tt.want {
			t.Errorf("got %t, want %t for %s", got, tt.want, cmp.Diff(tt.a.Verdict(), tt.b.Verdict()))
		}
	}
}

func TestProvidersAreToldInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := declared(s587)
		for _, name := range []string{"b", "a"} {
			p := settingstest.Provider(s587)
			p.Name = name
			d.Providers = append(d.Providers, p)
		}
		b := start(&world{}, &store.Memory{}, d)
		defer b.stop()
		if got := strings.Join(b.heard(), ", "); got != "main, b, a, main 587:probed, b 587:probed, a 587:probed" {
			t.Errorf("got %q", got)
		}
	})
}
