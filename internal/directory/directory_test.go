package directory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailconfd/internal/directory"
)

// zone is a resolver of MX hosts by domain; a domain in it with no hosts fails.
type zone struct {
	mu    sync.Mutex
	mx    map[string][]string
	takes time.Duration
	asked []string
}

func (z *zone) BestMX(ctx context.Context, domain string) ([]string, error) {
	z.mu.Lock()
	z.asked = append(z.asked, domain)
	hosts, ok := z.mx[domain]
	z.mu.Unlock()
	select {
	case <-time.After(z.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if ok && len(hosts) == 0 {
		return nil, errors.New("SERVFAIL")
	}
	return hosts, nil
}

func (z *zone) count() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return len(z.asked)
}

var rules = []directory.Rule{
	{Name: "example.org", Provider: "main"},
	{Name: "autoconfig.example.net", Provider: "odd"},
	{Name: "one.customers.example", Provider: "special"},
	{Wildcard: "customers.example", Provider: "hosting"},
	{Wildcard: "deep.customers.example", Provider: "deep"},
	{MX: []string{"mx.hoster.example", "mx2.hoster.example"}, Except: []string{"not.example"}, Provider: "hosting"},
	{MX: []string{"mx.other.example"}, Provider: "other"},
}

// hosted is how a directory would judge.
func hosted(host string) bool { return host == "mx.hoster.example" }

func TestFind(t *testing.T) {
	t.Parallel()
	z := &zone{mx: map[string][]string{
		"moved.example": {"mx.hoster.example"}, "second.example": {"mx.elsewhere.example", "mx2.hoster.example"},
		"elsewhere.example": {"mx.elsewhere.example"}, "not.example": {"mx.hoster.example"}, "broken.example": {},
		"example.org": {"mx.other.example"}, "autoconfig.moved.example": {"mx.other.example"},
		"schokokeks.org": {"mx.hoster.example"}, "co.uk": {"mx.hoster.example"},
	}}
	d := directory.New(slices.Values(rules), directory.NewMXCache(z))
	for _, tt := range []struct {
		readings         []string
		provider, domain string
		fails            bool
	}{
		{readings: []string{"example.org"}, provider: "main", domain: "example.org"},
		{readings: []string{"autoconfig.example.org", "example.org"}, provider: "main", domain: "example.org"},
		{readings: []string{"autoconfig.example.net", "example.net"}, provider: "odd", domain: "autoconfig.example.net"},
		{readings: []string{"sub.example.org"}},
		{readings: []string{"one.customers.example"}, provider: "special", domain: "one.customers.example"},
		{readings: []string{"two.customers.example"}, provider: "hosting", domain: "two.customers.example"},
		{readings: []string{"a.b.customers.example"}, provider: "hosting", domain: "a.b.customers.example"},
		{readings: []string{"x.deep.customers.example"}, provider: "deep", domain: "x.deep.customers.example"},
		{readings: []string{"deep.customers.example"}, provider: "hosting", domain: "deep.customers.example"},
		{readings: []string{"autoconfig.two.customers.example", "two.customers.example"}, provider: "hosting", domain: "two.customers.example"},
		{readings: []string{"autoconfig.customers.example", "customers.example"}, provider: "hosting", domain: "autoconfig.customers.example"},
		{readings: []string{"customers.example"}},
		{readings: []string{"moved.example"}, provider: "hosting", domain: "moved.example"},
		{readings: []string{"autoconfig.moved.example", "moved.example"}, provider: "hosting", domain: "moved.example"},
		{readings: []string{"second.example"}, provider: "hosting", domain: "second.example"},
		{readings: []string{"elsewhere.example"}},
		{readings: []string{"not.example"}},
		{readings: []string{"nowhere.example"}},
		{readings: []string{"broken.example"}, fails: true},
		{readings: []string{"co.uk"}},
		{readings: []string{"schokokeks.org"}, provider: "hosting", domain: "schokokeks.org"}, // in the private part of the Public Suffix List
		{readings: nil},
	} {
		provider, domain, err := d.Find(t.Context(), tt.readings...)
		if provider != tt.provider || domain != tt.domain && provider != "" || (err != nil) != tt.fails {
			t.Errorf("%v: got %q %q %v, want %q %q", tt.readings, provider, domain, err, tt.provider, tt.domain)
		}
	}
}

func TestFindAsksNothingWithoutMXRules(t *testing.T) {
	t.Parallel()
	z := &zone{}
	d := directory.New(slices.Values(rules[:5]), directory.NewMXCache(z))
	if provider, _, err := d.Find(t.Context(), "moved.example"); provider != "" || err != nil || z.count() != 0 {
		t.Errorf("got %q, %v, after %d look-ups", provider, err, z.count())
	}
}

func TestMXIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{mx: map[string][]string{"moved.example": {"mx.hoster.example"}, "broken.example": {}}}
		c := directory.NewMXCache(z)
		ask := func(domain string, after time.Duration, want int) {
			t.Helper()
			<-time.After(after)
			before := z.count()
			c.Match(t.Context(), domain, hosted)
			if got := z.count() - before; got != want {
				t.Errorf("%s after %s: %d look-ups, want %d", domain, after, got, want)
			}
		}
		ask("moved.example", 0, 1)
		ask("moved.example", 59*time.Minute, 0)
		ask("moved.example", 2*time.Minute, 1)
		ask("nowhere.example", 0, 1)
		ask("nowhere.example", 9*time.Minute, 0)
		ask("nowhere.example", 2*time.Minute, 1)
		ask("broken.example", 0, 1)
		ask("broken.example", 0, 1)
	})
}

func TestMXLookUpsAreCoalescedAndShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{takes: time.Hour}
		c := directory.NewMXCache(z)
		var wg sync.WaitGroup
		start := time.Now()
		for range 100 {
			wg.Go(func() {
				if _, err := c.Match(t.Context(), "slow.example", hosted); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want the deadline", err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 2*time.Second || z.count() != 1 {
			t.Errorf("%d look-ups in %s, want one in 2s", z.count(), took)
		}
	})
}

func TestMXCallerThatGoesAwayIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := directory.NewMXCache(&zone{takes: time.Second, mx: map[string][]string{"moved.example": {"mx.hoster.example"}}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Match(ctx, "moved.example", hosted); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if host, err := c.Match(t.Context(), "moved.example", hosted); err != nil || host == "" {
			t.Errorf("the look-up was cut short for the next caller: %v, %v", host, err)
		}
	})
}

func TestMXLookUpsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		c := directory.NewMXCache(z)
		busy := 0
		for i := range 1000 {
			if _, err := c.Match(t.Context(), fmt.Sprintf("d%d.example", i), hosted); errors.Is(err, directory.ErrBusy) {
				busy++
			}
		}
		if z.count() != 200 || busy != 800 {
			t.Errorf("%d look-ups and %d refusals of 1000 at once, want 200 and 800", z.count(), busy)
		}
		<-time.After(time.Second)
		if _, err := c.Match(t.Context(), "later.example", hosted); err != nil {
			t.Errorf("a second later: %v", err)
		}
	})
}

func TestStrangersCannotPushOutWhatIsOurs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{mx: map[string][]string{"moved.example": {"mx.hoster.example"}}}
		c := directory.NewMXCache(z)
		ask := func() (string, error) { return c.Match(t.Context(), "moved.example", hosted) }
		if _, err := ask(); err != nil {
			t.Fatal(err)
		}
		flood := func(n int) {
			for i := range n {
				_, _ = c.Match(t.Context(), fmt.Sprintf("d%d-%d.example", n, i), hosted)
			}
		}
		for range 1100 { // 55,000 names at the highest rate that is let through
			flood(50)
			<-time.After(time.Second)
		}
		before := z.count()
		if host, err := ask(); err != nil || !hosted(host) || z.count() != before {
			t.Errorf("after a flood of names: %v, %v, %d look-ups", host, err, z.count()-before)
		}
		<-time.After(time.Hour)
		flood(300)
		if host, err := ask(); err != nil || !hosted(host) {
			t.Errorf("expired in the middle of a flood: %v, %v", host, err)
		}
	})
}

func TestMXOutageServesWhatWasKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{mx: map[string][]string{"moved.example": {"mx.hoster.example"}}}
		c := directory.NewMXCache(z)
		ask := func() (string, error) { return c.Match(t.Context(), "moved.example", hosted) }
		if _, err := ask(); err != nil {
			t.Fatal(err)
		}
		z.mu.Lock()
		z.mx["moved.example"] = nil // SERVFAIL
		z.mu.Unlock()
		<-time.After(23 * time.Hour)
		if host, err := ask(); err != nil || !hosted(host) {
			t.Errorf("in an outage of DNS: %v, %v", host, err)
		}
		<-time.After(2 * time.Hour)
		if _, err := ask(); err == nil {
			t.Error("still known after a day without an answer")
		}
	})
}

// A stranger's wildcard that leads to a host of ours makes every name below it ours, as
// far as DNS goes. It must not push the real customers out.
func TestStrangersWildcardHasFewPlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{mx: map[string][]string{"moved.example": {"mx.hoster.example"}}}
		for i := range 1000 {
			z.mx[fmt.Sprintf("d%d.evil.example", i)] = []string{"mx.hoster.example"}
		}
		c := directory.NewMXCache(z)
		served, busy := 0, 0
		for i := range 1000 {
			switch host, err := c.Match(t.Context(), fmt.Sprintf("d%d.evil.example", i), hosted); {
			case errors.Is(err, directory.ErrBusy):
				busy++
			case err == nil && hosted(host):
				served++
			}
		}
		if served != 50 || busy != 950 {
			t.Errorf("%d served and %d refused of 1000 names below one domain at once, want 50 and 950", served, busy)
		}
		if host, err := c.Match(t.Context(), "moved.example", hosted); err != nil || !hosted(host) {
			t.Errorf("a customer meanwhile: %q, %v", host, err)
		}
	})
}

func TestAnswersAreCutShort(t *testing.T) {
	t.Parallel()
	z := &zone{mx: map[string][]string{"moved.example": append(slices.Repeat([]string{"mx.elsewhere.example"}, 16), "mx.hoster.example")}}
	c := directory.NewMXCache(z)
	if host, err := c.Match(t.Context(), "moved.example", hosted); err != nil || host != "" {
		t.Errorf("the seventeenth host was looked at: %q, %v", host, err)
	}
}
