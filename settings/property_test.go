package settings_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// world is a provider with a random past.
type world struct {
	provider     settings.Provider
	policy       settings.Policy
	observations map[settings.Service][]settings.Observation
	logins       []settings.Login
	now          time.Time
}

func drawWorld(t *rapid.T) world {
	hosts := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a.example.org", "b.example.org"}), 1, 2, rapid.ID).Draw(t, "hosts")
	var candidates []settings.Service
	for _, h := range hosts {
		candidates = append(candidates, settings.Candidates(h)...)
	}
	candidates = append(candidates, settingstest.Service("submission://a.example.org:1587"))
	some := rapid.SliceOfNDistinct(rapid.SampledFrom(candidates), 1, 10, rapid.ID)
	w := world{provider: settingstest.Provider(), policy: settings.DefaultPolicy(), observations: map[settings.Service][]settings.Observation{}}
	w.provider.Services = some.Draw(t, "services")
	if rapid.IntRange(0, 3).Draw(t, "trust") == 0 {
		w.provider.Trusted = []settings.Trust{{Service: rapid.SampledFrom(candidates).Draw(t, "trusted"), Reason: "because"}}
	}
	w.policy.WithdrawAfter = rapid.IntRange(1, 4).Draw(t, "withdraw_after")
	w.policy.WithdrawAfterTime = time.Duration(rapid.IntRange(0, 20).Draw(t, "withdraw_after_time")) * time.Minute
	var kinds []settings.FailureKind
	for _, f := range settings.Failures() {
		kinds = append(kinds, f.Kind)
	}
	seconds := rapid.SliceOfNDistinct(rapid.IntRange(0, 80*3600), 0, 8, rapid.ID)
	for _, s := range w.provider.Candidates() {
		for _, second := range seconds.Draw(t, "seconds") {
			when := settingstest.Now.Add(time.Duration(second) * time.Second)
			o := settingstest.Seen(s, when)
			if rapid.Bool().Draw(t, "fails") {
				o = settingstest.Failed(s, when, rapid.SampledFrom(kinds).Draw(t, "kind"))
			}
			w.observations[s] = append(w.observations[s], o)
		}
	}
	w.provider.Username = rapid.SampledFrom([]settings.Username{settings.UsernameAddress, settings.UsernameLocalPart}).Draw(t, "username")
	w.provider.AcceptsAddress = rapid.Bool().Draw(t, "accepts_address")
	if rapid.Bool().Draw(t, "logins") {
		w.logins = w.randomLogins(func(label string, n int) int { return rapid.IntRange(0, n-1).Draw(t, label) })
	}
	w.now = settingstest.Now.Add(time.Duration(rapid.IntRange(0, 160*3600).Draw(t, "now")) * time.Second)
	return w
}

func (w world) verify(now time.Time) settings.Result {
	histories := map[settings.Service]settings.Views{}
	for s, all := range w.observations {
		histories[s] = settings.Views{settings.Fold(all...)}
	}
	return settings.Verify(w.provider, histories, now, w.policy, w.logins...)
}

// sorted returns what was seen of a service in order of time.
func (w world) sorted(s settings.Service) []settings.Observation {
	return slices.SortedStableFunc(slices.Values(w.observations[s]), func(a, b settings.Observation) int { return a.At.Compare(b.At) })
}

// lastSuccess reads the raw observations, not the History.
func (w world) lastSuccess(s settings.Service) (at time.Time, ok bool) {
	for _, o := range w.sorted(s) {
		if o.Verdict().Verified {
			at, ok = o.At, true
		}
	}
	return at, ok
}

// failing reads the raw observations by the words of the promise: "from the moment it
// has failed withdraw_after times in a row over at least withdraw_after_time"; unsafe
// ones "after one confirmation"; temporary ones "count only when the last success is
// older than max_age"; local ones never. It has been failing since the first of the row.
func (w world) failing(s settings.Service) (since time.Time, failing bool) {
	last, _ := w.lastSuccess(s)
	var row []settings.Observation
	unsafe := 0
	for _, o := range w.sorted(s) {
		v := o.Verdict()
		if v.Verified {
			row, unsafe = nil, 0
			continue
		}
		switch v.Failure.Kind.Weight() {
		case settings.Local:
			continue
		case settings.Temporary:
			if w.now.Sub(last) < w.policy.MaxAge {
				continue
			}
		case settings.Unsafe:
			unsafe++
		case settings.Ordinary:
		}
		row = append(row, o)
	}
	if len(row) == 0 {
		return time.Time{}, false
	}
	long := len(row) >= w.policy.WithdrawAfter && row[len(row)-1].At.Sub(row[0].At) >= w.policy.WithdrawAfterTime
	return row[0].At, long || unsafe >= 2
}

// doubted tells whether something that counts has failed since the last success.
func (w world) doubted(s settings.Service) bool {
	doubted := false
	for _, o := range w.sorted(s) {
		v := o.Verdict()
		doubted = !v.Verified && (doubted || v.Failure.Kind.Weight() != settings.Local)
	}
	return doubted
}

// held tells whether a service that worked may still be published.
func (w world) held(s settings.Service) bool {
	last, ok := w.lastSuccess(s)
	return ok && !w.lockedOut(s, w.logins) && (!w.doubted(s) || w.now.Before(last.Add(w.policy.Grace)))
}

func (w world) trusted(s settings.Service) bool {
	return slices.ContainsFunc(w.provider.Trusted, func(t settings.Trust) bool { return t.Service == s })
}

func TestVerifyProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		result := w.verify(w.now)
		seen := map[settings.Service]int{}
		for _, x := range result.Withheld {
			seen[x.Service]++
			if x.Why == settings.WhyLogin && !w.lockedOut(x.Service, w.logins) {
				t.Fatalf("%s is withheld for its logins: %s", x.Service, x)
			}
		}
		for _, role := range settings.Roles() {
			services := result.Verified.Services(role)
			for i, p := range services {
				seen[p.Service]++
				w.checkSeenToWork(t, p)
				for _, later := range services[i+1:] {
					since, failing := w.failing(p.Service)
					if success, ok := w.lastSuccess(later.Service); failing && ok && success.After(since) {
						t.Fatalf("%s has failed since %s and stands before %s, seen to work at %s", p.Service, since, later.Service, success)
					}
				}
			}
			w.checkNotNothing(t, result.Verified, role)
		}
		for _, s := range w.provider.Candidates() {
			if seen[s] != 1 {
				t.Fatalf("%s is published or withheld %d times, want once", s, seen[s])
			}
		}
	})
}

func (w world) checkSeenToWork(t *rapid.T, p settings.Published) {
	last, ok := w.lastSuccess(p.Service)
	if !w.held(p.Service) && !(w.trusted(p.Service) && p.Basis == settings.BasisTrusted) {
		t.Fatalf("%s is published with basis %s; last success %v, %v", p.Service, p.Basis, last, ok)
	}
	_, failing := w.failing(p.Service)
	fresh := ok && w.now.Before(last.Add(w.policy.MaxAge))
	if p.Basis == settings.BasisProbed && (failing || !fresh) {
		t.Fatalf("%s has basis probed; failing %v, fresh %v", p.Service, failing, fresh)
	}
}

func (w world) checkNotNothing(t *rapid.T, v settings.Verified, role settings.Role) {
	if v.Undecided(role) || len(v.Services(role)) > 0 {
		return
	}
	for _, s := range w.provider.Candidates() {
		if s.Role() == role && w.held(s) {
			t.Fatalf("nothing is published for %s while the grace of %s holds", role, s)
		}
	}
}

func TestVerifyOrderOfObservationsDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		want := w.verify(w.now)
		for s, all := range w.observations {
			w.observations[s] = rapid.Permutation(all).Draw(t, "order")
		}
		w.logins = rapid.Permutation(w.logins).Draw(t, "order of logins")
		if got := w.verify(w.now); !reflect.DeepEqual(want, got) {
			t.Fatalf("the result depends on the order of observations:\n%+v\n%+v", want, got)
		}
	})
}

func TestVerifyNothingChangesBeforeNextChange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		want := w.verify(w.now)
		span := 200 * time.Hour
		if !want.NextChange.IsZero() {
			span = want.NextChange.Sub(w.now) - 1
		}
		later := w.now.Add(time.Duration(rapid.Int64Range(0, int64(span)).Draw(t, "later")))
		if got := w.verify(later); !got.Verified.Equal(want.Verified) {
			t.Fatalf("the result changes by itself between %s and %s, before %s", w.now, later, want.NextChange)
		}
	})
}
