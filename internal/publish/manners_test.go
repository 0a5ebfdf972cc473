package publish_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mailconfd/internal/publish"
)

// TXT at the name of a service says how that service is used: ours is not written beside
// somebody else's SRV, nor beside another TXT.
func TestTextOfAService(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		current, wanted []string
		ours            []string
		mode            publish.Mode
		want            []string
	}{
		"nothing there":                 {nil, []string{dav, davPath}, nil, publish.Careful, []string{"+ " + davPath, "+ " + dav}},
		"another SRV":                   {[]string{davOther}, []string{dav, davPath}, nil, publish.Careful, []string{"! _caldavs._tcp.example.org. SRV: SRV 0 1 443 other.example.org. stands there; it is not ours"}},
		"another SRV, the path moved":   {[]string{davOther, davPath}, []string{dav, davOtherPath}, []string{davPath}, publish.Careful, []string{"- " + davPath, "! _caldavs._tcp.example.org. SRV: SRV 0 1 443 other.example.org. stands there; it is not ours"}},
		"the same SRV, not ours":        {[]string{dav}, []string{dav, davPath}, nil, publish.Careful, []string{"+ " + davPath, "= _caldavs._tcp.example.org. SRV: SRV 0 1 443 dav.example.org. stands there; it is as wanted, and not ours"}},
		"another path beside our SRV":   {[]string{dav, davOtherPath}, []string{dav, davPath}, []string{dav}, publish.Careful, []string{`! _caldavs._tcp.example.org. TXT: TXT "path=/other/" stands there; it is not ours`}},
		"another path, adopted":         {[]string{dav, davOtherPath}, []string{dav, davPath}, []string{dav}, publish.Adopt, []string{"- " + davOtherPath, "+ " + davPath}},
		"another SRV and path, adopted": {[]string{davOther, davOtherPath}, []string{dav, davPath}, nil, publish.Adopt, []string{"- " + davOtherPath, "- " + davOther, "+ " + davPath, "+ " + dav}},
	} {
		plan := publish.Difference(rrs(t, test.current...), rrs(t, test.wanted...), marks(rrs(t, test.ours...)...), test.mode)
		if diff := cmp.Diff(test.want, plan.Lines()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What is not ours is told in the same words whatever order the server gives it in.
func TestForeignIsTold(t *testing.T) {
	t.Parallel()
	a, b := "_imaps._tcp.example.org. 300 IN SRV 0 1 993 a.example.org.", "_imaps._tcp.example.org. 300 IN SRV 5 1 993 b.example.org."
	one := publish.Difference(rrs(t, a, b), rrs(t, imaps), nil, publish.Careful).Lines()
	other := publish.Difference(rrs(t, b, a), rrs(t, imaps), nil, publish.Careful).Lines()
	if !slices.Equal(one, other) {
		t.Errorf("%q and %q", one, other)
	}
}

// A failure that differs in the time it tells is logged once.
func TestKeeperTellsAClockOnce(t *testing.T) {
	z := &keptZone{}
	keep(t, z, func(t *testing.T, _ context.Context, _ *publish.Keeper, log *logged) {
		for range 6 {
			z.mu.Lock()
			z.fails = &publish.Error{Kind: publish.KindClock, Zone: zone, Server: "x", Text: "its clock shows " + time.Now().String()}
			z.mu.Unlock()
			pass(10 * time.Minute)
		}
		if n := strings.Count(log.String(), "not in step"); n != 1 {
			t.Errorf("told %d times:\n%s", n, log)
		}
	})
}

// An interval that a reload makes shorter holds at once.
func TestKeeperTakesAShorterInterval(t *testing.T) {
	z := &keptZone{}
	keep(t, z, func(t *testing.T, ctx context.Context, k *publish.Keeper, _ *logged) {
		want := func(records ...string) {
			z.mu.Lock()
			defer z.mu.Unlock()
			z.wanted = rrs(t, records...)
		}
		k.Declare(ctx, []publish.Task{z.task(24 * time.Hour)})
		want(imaps)
		k.Wake()
		pass(11 * time.Minute)
		want(imaps, submission)
		k.Wake()
		synctest.Wait()
		k.Declare(ctx, []publish.Task{z.task(time.Minute)})
		pass(2 * time.Minute)
		if _, changes, _ := z.seen(); len(changes) != 2 {
			t.Errorf("%d changes, want 2", len(changes))
		}
	})
}

// What stays in grace is expected in DNS, in its domain.
func TestKeeperExpects(t *testing.T) {
	z := &keptZone{wanted: rrs(t, imaps, submission)}
	keep(t, z, func(t *testing.T, _ context.Context, k *publish.Keeper, _ *logged) {
		pass(10 * time.Minute)
		z.want(rrs(t, submission))
		pass(10 * time.Minute)
		for domain, want := range map[string][]dns.RR{"example.org": rrs(t, submission, imaps), "other.example.org": rrs(t, submission)} {
			if got := k.Expect(zone, domain, rrs(t, submission)); !cmp.Equal(lines(want), lines(got)) {
				t.Errorf("%s: %v, want %v", domain, lines(got), lines(want))
			}
		}
		z.want(rrs(t, imaps, submission))
		pass(10 * time.Minute)
		if got := k.Expect(zone, "example.org", rrs(t, imaps, submission)); len(got) != 2 {
			t.Errorf("%v once it is back", lines(got))
		}
	})
}
