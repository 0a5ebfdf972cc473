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
	w.now = settingstest.Now.Add(time.Duration(rapid.IntRange(0, 160*3600).Draw(t, "now")) * time.Second)
	return w
}

func (w world) verify(now time.Time) settings.Result {
	histories := map[settings.Service]settings.History{}
	for s, all := range w.observations {
		histories[s] = settings.Fold(all...)
	}
	return settings.Verify(w.provider, histories, now, w.policy)
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

// failing reads the raw observations by the words of the rule.
func (w world) failing(s settings.Service) (since time.Time, failing bool) {
	last, _ := w.lastSuccess(s)
	var hard, unsafe, temporary []time.Time
	for _, o := range w.sorted(s) {
		v := o.Verdict()
		if v.Verified {
			hard, unsafe, temporary = nil, nil, nil
			continue
		}
		switch v.Failure.Kind.Weight() {
		case settings.Unsafe:
			unsafe = append(unsafe, o.At)
			hard = append(hard, o.At)
		case settings.Ordinary:
			hard = append(hard, o.At)
		case settings.Temporary:
			temporary = append(temporary, o.At)
		}
	}
	if len(unsafe) >= 2 {
		return unsafe[0], true
	}
	if n := len(temporary); n > 0 && temporary[n-1].Sub(last) >= w.policy.MaxAge {
		hard = slices.SortedFunc(slices.Values(append(hard, temporary...)), time.Time.Compare)
	}
	if n := len(hard); n > 0 && n >= w.policy.WithdrawAfter && hard[n-1].Sub(hard[0]) >= w.policy.WithdrawAfterTime {
		return hard[0], true
	}
	return time.Time{}, false
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
	inGrace := ok && w.now.Before(last.Add(w.policy.Grace))
	if !inGrace && !(w.trusted(p.Service) && p.Basis == settings.BasisTrusted) {
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
		if last, ok := w.lastSuccess(s); s.Role() == role && ok && w.now.Before(last.Add(w.policy.Grace)) {
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
