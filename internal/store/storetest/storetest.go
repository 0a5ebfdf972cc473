// Package storetest holds what every home of monitor.Store must do, as tests.
package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/internal/monitor"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// Run tests stores that open makes, each empty and with nobody else at it.
func Run(t *testing.T, open func(*testing.T) monitor.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*bench)
	}{
		{"declared services are due at once", testDeclare},
		{"what is due first is claimed first", testOrder},
		{"a declaration brings forward what is due too late", testDeclareSooner},
		{"retired services are left alone and remembered", testRetire},
		{"vantages do not see each other's schedule", testVantages},
		{"a lease keeps others away until it ends", testLease},
		{"a lost claim is refused", testLost},
		{"a late claim that nobody took is good", testLate},
		{"a claim is good once", testOnce},
		{"a released service is due as before", testRelease},
		{"hurrying brings forward and never puts off", testHurry},
		{"what a wrong clock wrote does not count", testWrongClock},
		{"everything comes back as it was saved", testRoundTrip},
		{"generations tell what is new", testSince},
		{"only changes are kept as changes", testChanges},
		{"changes and what is long gone are pruned", testPrune},
		{"no service is claimed twice at once", testConcurrentClaims},
		{"concurrent declarations agree", testConcurrentDeclarations},
		{"nothing is lost between generations", testConcurrentGenerations},
		{"rude services", testRude},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.test(&bench{t, s})
		})
	}
}

// The watchers of the tests, and their times.
const (
	lease    = 2 * time.Minute
	interval = 15 * time.Minute
)

var (
	now   = settingstest.Now
	one   = monitor.Watcher{Vantage: "here", Owner: "one", Lease: lease, Interval: interval}
	other = monitor.Watcher{Vantage: "here", Owner: "other", Lease: lease, Interval: interval}
	away  = monitor.Watcher{Vantage: "away", Owner: "away", Lease: lease, Interval: interval}
)

var (
	imaps = settingstest.Service("imaps://imap.example.org")
	smtp  = settingstest.Service("submission://smtp.example.org")
	pop   = settingstest.Service("pop3s://pop.example.org")
)

// bench is a store under test. Its methods fail the test on an error.
type bench struct {
	*testing.T
	store monitor.Store
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) declare(w monitor.Watcher, at time.Time, services ...settings.Service) {
	b.Helper()
	b.ok(b.store.Declare(b.Context(), w, services, at))
}

func (b *bench) claim(w monitor.Watcher, at time.Time, n int) []monitor.Claim {
	b.Helper()
	claims, err := b.store.Claim(b.Context(), w, at, n)
	b.ok(err)
	return claims
}

// claimed claims everything and compares it with what is wanted.
func (b *bench) claimed(w monitor.Watcher, at time.Time, want ...settings.Service) []monitor.Claim {
	b.Helper()
	claims := b.claim(w, at, 100)
	var got []settings.Service
	for _, c := range claims {
		got = append(got, c.Service)
		if c.Vantage != w.Vantage || c.Owner != w.Owner || !c.Until.Equal(at.Add(w.Lease).Truncate(time.Millisecond)) {
			b.Errorf("claimed %+v, want for %s and %s until a lease from now", c, w.Vantage, w.Owner)
		}
	}
	slices.SortFunc(got, settings.Service.Compare)
	slices.SortFunc(want, settings.Service.Compare)
	if diff := cmp.Diff(want, got); diff != "" {
		b.Fatalf("claimed at %s (-want +got)\n%s", at.Sub(now), diff)
	}
	return claims
}

// saw returns an entry with one more observation, due after the interval.
func saw(e monitor.Entry, o settings.Observation) monitor.Entry {
	o.Vantage = e.Vantage
	e.History = e.History.Add(o)
	e.Due = o.At.Add(interval)
	return e
}

func (b *bench) save(c monitor.Claim, e monitor.Entry) int64 {
	b.Helper()
	generation, err := b.store.Save(b.Context(), c, e)
	b.ok(err)
	return generation
}

func (b *bench) lost(c monitor.Claim) {
	b.Helper()
	_, err := b.store.Save(b.Context(), c, saw(c.Entry, settingstest.Seen(c.Service, now)))
	if !errors.Is(err, monitor.ErrLost) {
		b.Errorf("saving: %v, want ErrLost", err)
	}
}

// since returns the entries after a generation, by vantage and service.
func (b *bench) since(generation int64) (map[string]monitor.Entry, int64) {
	b.Helper()
	entries, newest, err := b.store.Since(b.Context(), generation)
	b.ok(err)
	by := map[string]monitor.Entry{}
	for _, e := range entries {
		by[e.Vantage+" "+e.Service.String()] = e
	}
	if len(by) != len(entries) {
		b.Errorf("an entry comes twice in %v", entries)
	}
	return by, newest
}

func testDeclare(b *bench) {
	b.claimed(one, now)
	b.declare(one, now, imaps, smtp)
	b.claimed(one, now.Add(-time.Second))
	claims := b.claimed(one, now, imaps, smtp)
	for _, c := range claims {
		if c.Tries != 0 || !c.History.Newest.At.IsZero() || c.Generation != 0 || !c.Due.Equal(now) {
			b.Errorf("a new service is %+v", c.Entry)
		}
	}
	if all, _ := b.since(0); len(all) != 0 {
		b.Errorf("a service without a history is an entry: %v", all)
	}
}

func testOrder(b *bench) {
	b.declare(one, now.Add(-time.Second), smtp)
	b.declare(one, now, imaps, pop, smtp)
	first := b.claim(one, now, 1)
	if len(first) != 1 || first[0].Service != smtp {
		b.Fatalf("first comes %v, want what is due first", first)
	}
	rest := b.claim(other, now, 2)
	if len(rest) != 2 {
		b.Fatalf("then come %d, want the other two", len(rest))
	}
	if more := b.claim(one, now, 0); len(more) != 0 {
		b.Errorf("claiming none gives %v", more)
	}
}

func testDeclareSooner(b *bench) {
	b.declare(one, now, imaps, smtp)
	for _, c := range b.claimed(one, now, imaps, smtp) {
		e := saw(c.Entry, settingstest.Seen(c.Service, now))
		if c.Service == smtp {
			e.Due = now.Add(time.Minute)
		}
		b.save(c, e)
	}
	soon := one
	soon.Interval = 2 * time.Minute
	b.declare(soon, now, imaps, smtp)
	b.claimed(soon, now.Add(time.Minute), smtp)
	b.claimed(soon, now.Add(2*time.Minute), imaps)
}

func testRetire(b *bench) {
	b.declare(one, now, imaps, smtp)
	claims := b.claimed(one, now, imaps, smtp)
	b.declare(one, now, smtp)
	for _, c := range claims { // one of them is retired by now
		b.save(c, saw(c.Entry, settingstest.Seen(c.Service, now)))
	}
	b.claimed(one, now.Add(interval), smtp)
	all, _ := b.since(0)
	if e := all["here "+imaps.String()]; e.History.Success.At.IsZero() || !e.Due.IsZero() {
		b.Errorf("a retired service is %+v, want its history and no due time", e)
	}
	later := now.Add(time.Hour)
	b.declare(one, later, imaps, smtp)
	back := b.claimed(one, later, imaps, smtp)
	for _, c := range back {
		if c.Service == imaps && !c.History.Success.At.Equal(now) {
			b.Errorf("declared again it has forgotten: %+v", c.Entry)
		}
	}
	b.declare(one, later)
	b.claimed(other, later.Add(time.Hour))
}

func testVantages(b *bench) {
	b.declare(one, now, imaps)
	b.declare(away, now, imaps, smtp)
	here := b.claimed(one, now, imaps)[0]
	b.declare(one, now) // does not retire the other's
	for _, c := range b.claimed(away, now, imaps, smtp) {
		b.save(c, saw(c.Entry, settingstest.Failed(c.Service, now, settings.FailureRefused)))
	}
	b.save(here, saw(here.Entry, settingstest.Seen(imaps, now)))
	all, _ := b.since(0)
	if a, h := all["away "+imaps.String()], all["here "+imaps.String()]; len(all) != 3 || a.History.Failed.Count != 1 || h.History.Success.At.IsZero() {
		b.Errorf("got %+v", all)
	}
}

func testLease(b *bench) {
	b.declare(one, now, imaps)
	b.claimed(one, now, imaps)
	b.claimed(one, now)
	b.claimed(other, now.Add(lease-time.Millisecond))
	b.claimed(other, now.Add(lease), imaps)
	b.claimed(one, now.Add(lease))
}

func testLost(b *bench) {
	b.declare(one, now, imaps)
	mine := b.claimed(one, now, imaps)[0]
	theirs := b.claimed(other, now.Add(lease), imaps)[0]
	b.lost(mine)
	b.ok(b.store.Release(b.Context(), mine)) // and does not free the other's
	b.claimed(one, now.Add(lease))
	b.save(theirs, saw(theirs.Entry, settingstest.Failed(imaps, now, settings.FailureRefused)))
	b.lost(mine)
	all, _ := b.since(0)
	if e := all["here "+imaps.String()]; e.History.Failed.Count != 1 || !e.History.Success.At.IsZero() {
		b.Errorf("a lost claim left a trace: %+v", e)
	}
	again := b.claimed(one, now.Add(interval), imaps)[0]
	same := b.claimed(one, now.Add(interval+lease), imaps)[0] // one lost it to itself
	b.lost(again)
	b.save(same, saw(same.Entry, settingstest.Seen(imaps, now.Add(interval))))
}

func testLate(b *bench) {
	b.declare(one, now, imaps)
	c := b.claimed(one, now, imaps)[0]
	late := now.Add(10 * lease)
	b.save(c, saw(c.Entry, settingstest.Seen(imaps, late)))
	b.claimed(other, late)
}

func testOnce(b *bench) {
	b.declare(one, now, imaps)
	c := b.claimed(one, now, imaps)[0]
	b.save(c, saw(c.Entry, settingstest.Seen(imaps, now)))
	b.lost(c)
	b.lost(monitor.Claim{Entry: c.Entry, Owner: "nobody", Until: c.Until})
	b.lost(monitor.Claim{Entry: c.Entry})
}

func testRelease(b *bench) {
	b.declare(one, now, imaps)
	c := b.claimed(one, now, imaps)[0]
	b.ok(b.store.Release(b.Context(), c))
	b.ok(b.store.Release(b.Context(), c))
	b.lost(c)
	if again := b.claimed(other, now, imaps)[0]; !again.Due.Equal(now) {
		b.Errorf("due at %s, want as before", again.Due)
	}
}

func testHurry(b *bench) {
	b.declare(one, now, imaps, smtp)
	for _, c := range b.claimed(one, now, imaps, smtp) {
		b.save(c, saw(c.Entry, settingstest.Seen(c.Service, now)))
	}
	b.ok(b.store.Hurry(b.Context(), away, map[settings.Service]time.Time{imaps: now}))
	b.claimed(one, now)
	b.ok(b.store.Hurry(b.Context(), one, map[settings.Service]time.Time{
		imaps: now.Add(5 * time.Second), smtp: now.Add(time.Hour), pop: now,
	}))
	b.ok(b.store.Hurry(b.Context(), one, nil))
	b.claimed(one, now.Add(5*time.Second-time.Millisecond))
	b.claimed(one, now.Add(5*time.Second), imaps)
	b.claimed(one, now.Add(interval), smtp, imaps)
	b.declare(one, now, imaps)
	b.ok(b.store.Hurry(b.Context(), one, map[settings.Service]time.Time{smtp: now}))
	b.claimed(one, now.Add(interval)) // smtp is retired, imaps is leased
}

// A clock that was an hour ahead and has been set right.
func testWrongClock(b *bench) {
	ahead := now.Add(time.Hour)
	b.declare(one, ahead, imaps, smtp, pop)
	claims := b.claim(one, ahead, 2)
	b.save(claims[0], saw(claims[0].Entry, settingstest.Seen(claims[0].Service, ahead)))
	b.claimed(other, now, imaps, smtp, pop)
	b.claimed(other, now)
}

// testRoundTrip saves all that an observation can hold.
func testRoundTrip(b *bench) {
	at := now.Add(123456789 * time.Nanosecond).In(time.FixedZone("elsewhere", 7200))
	passed := settingstest.Seen(imaps, at)
	passed.Vantage, passed.Proxied = "here", true
	passed.Warnings = []settings.Warning{{Kind: settings.WarnAddressFailed, Detail: "ü & < \" \x00 \u2028"}}
	passed.Addresses[0].Took = 41 * time.Millisecond
	passed.Addresses[0].Local = true
	passed.Addresses[0].TLS = &settings.TLS{Version: "TLS 1.3", SubjectNames: []string{"imap.example.org"}, NotAfter: at.UTC()}
	passed.Addresses[0].Transcript = []string{"S: * OK ü", `C: a "b"`}
	failed := settingstest.Failed(imaps, at.Add(time.Minute), settings.FailureNoSTARTTLS)
	b.declare(one, now, imaps)
	c := b.claimed(one, now, imaps)[0]
	e := saw(saw(c.Entry, passed), failed)
	e.Tries, e.Due = 3, now.Add(5*time.Second+time.Millisecond)
	e.Generation = b.save(c, e)

	all, newest := b.since(0)
	sameInstant := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
	if diff := cmp.Diff(map[string]monitor.Entry{"here " + imaps.String(): e}, all, sameInstant, cmp.Comparer(sameIP)); diff != "" || newest != e.Generation {
		b.Errorf("generation %d of %d; (-want +got)\n%s", newest, e.Generation, diff)
	}
	again := b.claimed(one, e.Due, imaps)[0]
	if diff := cmp.Diff(e, again.Entry, sameInstant, cmp.Comparer(sameIP)); diff != "" {
		b.Errorf("claimed again (-want +got)\n%s", diff)
	}
	changes, err := b.store.Changes(b.Context(), imaps, 10)
	b.ok(err)
	if diff := cmp.Diff([]settings.Observation{e.History.Newest}, changes, sameInstant, cmp.Comparer(sameIP)); diff != "" {
		b.Errorf("changes (-want +got)\n%s", diff)
	}
}

func testSince(b *bench) {
	if _, newest := b.since(0); newest != 0 {
		b.Errorf("an empty store is at generation %d", newest)
	}
	b.declare(one, now, imaps, smtp)
	claims := b.claimed(one, now, imaps, smtp)
	_, before := b.since(0)
	first := b.save(claims[0], saw(claims[0].Entry, settingstest.Seen(claims[0].Service, now)))
	if first <= before {
		b.Errorf("a save went from generation %d to %d", before, first)
	}
	second := b.save(claims[1], saw(claims[1].Entry, settingstest.Seen(claims[1].Service, now)))
	for from, want := range map[int64]int{0: 2, before: 2, first: 1, second: 0} {
		if got, newest := b.since(from); len(got) != want || newest != second {
			b.Errorf("since %d: %d entries up to %d, want %d up to %d", from, len(got), newest, want, second)
		}
	}
}

func testChanges(b *bench) {
	b.declare(one, now, imaps)
	b.declare(away, now, imaps)
	at := now
	look := func(w monitor.Watcher, kind settings.FailureKind) {
		at = at.Add(interval)
		for _, c := range b.claimed(w, at, imaps) {
			o := settingstest.Seen(imaps, at)
			if kind != "" {
				o = settingstest.Failed(imaps, at, kind)
			}
			b.save(c, saw(c.Entry, o))
		}
	}
	for _, kind := range []settings.FailureKind{"", "", "", settings.FailureRefused, settings.FailureRefused, settings.FailureTimeout, "", ""} {
		look(one, kind)
	}
	look(away, "")
	var got []string
	changes, err := b.store.Changes(b.Context(), imaps, 10)
	b.ok(err)
	for _, o := range changes {
		outcome := "passed"
		if f := o.Verdict().Failure; f != nil {
			outcome = string(f.Kind)
		}
		got = append(got, fmt.Sprintf("%s %d %s", o.Vantage, o.At.Sub(now)/interval, outcome))
	}
	want := []string{"away 9 passed", "here 7 passed", "here 6 timeout", "here 4 refused", "here 1 passed"}
	if diff := cmp.Diff(want, got); diff != "" {
		b.Errorf("changes (-want +got)\n%s", diff)
	}
	if changes, err = b.store.Changes(b.Context(), imaps, 2); err != nil || len(changes) != 2 {
		b.Errorf("the newest 2: %d, %v", len(changes), err)
	}
	if changes, err = b.store.Changes(b.Context(), smtp, 2); err != nil || len(changes) != 0 {
		b.Errorf("of a service never seen: %d, %v", len(changes), err)
	}
}

func testPrune(b *bench) {
	b.declare(one, now, imaps, smtp, pop)
	at := now
	count := func(s settings.Service) int {
		changes, err := b.store.Changes(b.Context(), s, 100)
		b.ok(err)
		return len(changes)
	}
	for i := range 6 { // imaps fails every other time; smtp is seen once, pop never
		for _, c := range b.claim(one, at, 3) {
			o := settingstest.Seen(c.Service, at)
			switch {
			case c.Service == pop || c.Service == smtp && i > 0:
				continue
			case i%2 == 1:
				o = settingstest.Failed(c.Service, at, settings.FailureRefused)
			}
			b.save(c, saw(c.Entry, o))
		}
		at = at.Add(interval)
	}
	b.ok(b.store.Prune(b.Context(), now, 100))
	if count(imaps) != 6 || count(smtp) != 1 {
		b.Fatalf("%d and %d changes, want 6 and 1", count(imaps), count(smtp))
	}
	b.ok(b.store.Prune(b.Context(), now, 4))
	if n := count(imaps); n != 4 {
		b.Errorf("%d changes, want the newest 4", n)
	}
	b.ok(b.store.Prune(b.Context(), now.Add(4*interval), 4))
	if count(imaps) != 2 || count(smtp) != 1 {
		b.Errorf("%d and %d changes, want the 2 that are young enough, and the last of each", count(imaps), count(smtp))
	}
	all, _ := b.since(0)
	if _, kept := all["here "+smtp.String()]; kept || len(all) != 1 {
		b.Errorf("what was last seen too long ago is still there: %v", all)
	}
	b.claimed(other, at.Add(interval), imaps, pop)
	b.declare(one, at, smtp)
	b.claimed(one, at, smtp)
}

func testConcurrentClaims(b *bench) {
	const services, owners = 40, 8
	var all []settings.Service
	for i := range services {
		all = append(all, settings.Service{Scheme: settings.SchemeIMAPS, Host: "imap.example.net", Port: uint16(i + 1)})
	}
	b.declare(one, now, all...)
	var mu sync.Mutex
	by := map[settings.Service]int{}
	var wg sync.WaitGroup
	for i := range owners {
		wg.Go(func() {
			w := one
			w.Owner = fmt.Sprint(i)
			for misses := 0; misses < 3; { // others' locks may hide rows for a moment
				claims, err := b.store.Claim(b.Context(), w, now, 3)
				if err != nil {
					b.Error(err)
					return
				}
				if len(claims) == 0 {
					misses++
				}
				for _, c := range claims {
					mu.Lock()
					by[c.Service]++
					mu.Unlock()
					if _, err := b.store.Save(b.Context(), c, saw(c.Entry, settingstest.Seen(c.Service, now))); err != nil {
						b.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for _, s := range all {
		if by[s] != 1 {
			b.Errorf("%s was claimed %d times", s, by[s])
		}
	}
	if entries, newest := b.since(0); len(entries) != services || newest < services {
		b.Errorf("%d entries at generation %d", len(entries), newest)
	}
}

func testConcurrentDeclarations(b *bench) {
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			services := []settings.Service{imaps, smtp, pop}
			if i%2 == 1 {
				slices.Reverse(services)
			}
			for j := range 5 {
				if err := b.store.Declare(b.Context(), one, services[:1+(i+j)%3], now); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.declare(one, now, imaps, smtp, pop)
	b.claimed(one, now, imaps, smtp, pop)
}

// testConcurrentGenerations follows generations while others save: whoever asks for
// what is new since the last answer must not miss a save.
func testConcurrentGenerations(b *bench) {
	const writers, saves = 4, 12
	var all []settings.Service
	for i := range writers {
		all = append(all, settings.Service{Scheme: settings.SchemeIMAPS, Host: "imap.example.net", Port: uint16(i + 1)})
	}
	b.declare(one, now, all...)
	claims := b.claimed(one, now, slices.Clone(all)...)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, c := range claims {
		wg.Go(func() {
			for i := range saves {
				e := saw(c.Entry, settingstest.Seen(c.Service, now))
				e.Due = now
				if _, err := b.store.Save(b.Context(), c, e); err != nil {
					b.Error(err)
					return
				}
				w := one
				w.Owner = c.Service.String()
				for i < saves-1 {
					again, err := b.store.Claim(b.Context(), w, now, 1)
					if err != nil {
						b.Error(err)
						return
					}
					if len(again) == 1 {
						c = again[0]
						break
					}
				}
			}
		})
	}
	go func() {
		defer close(done)
		wg.Wait()
	}()
	newest := map[settings.Service]int64{}
	last := int64(0)
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		entries, generation, err := b.store.Since(b.Context(), last)
		b.ok(err)
		if generation < last {
			b.Errorf("the generation went from %d to %d", last, generation)
		}
		last = generation
		for _, e := range entries {
			newest[e.Service] = max(newest[e.Service], e.Generation)
		}
	}
	entries, _ := b.since(0)
	for _, e := range entries {
		if newest[e.Service] != e.Generation {
			b.Errorf("%s: followed to generation %d, it is at %d", e.Service, newest[e.Service], e.Generation)
		}
	}
}

func testRude(b *bench) {
	rude := []settings.Service{
		settingstest.Service("imaps://xn--bcher-kva.example:65535"),
		{Scheme: settings.SchemeIMAP, Host: "a-very-long-label-of-sixty-three-characters-as-dns-allows-it-00.example", Port: 1},
		settingstest.Service("imaps://imap.example.org:993"),
		settingstest.Service("imap://imap.example.org:993"),
	}
	b.declare(one, now, append(rude, rude...)...) // each twice
	w := one
	w.Owner = "'; DROP TABLE entries; -- ü"
	for _, c := range b.claimed(w, now, rude...) {
		b.save(c, saw(c.Entry, settingstest.Seen(c.Service, now)))
	}
	if all, _ := b.since(0); len(all) != len(rude) {
		b.Errorf("%d entries, want %d", len(all), len(rude))
	}
}

func sameIP(a, b netip.Addr) bool { return a == b }
