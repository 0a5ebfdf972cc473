package settings

import (
	"slices"
	"strings"
	"time"
)

// VantagePolicy says who decides when several vantages see a service differently.
type VantagePolicy string

// The policies. A vantage that has no outcome yet has no voice.
const (
	VantageAny      VantagePolicy = "any"      // works is what works from anywhere
	VantageAll      VantagePolicy = "all"      // works is what works from everywhere
	VantageMajority VantagePolicy = "majority" // works is what works from more than half
)

// Views are the histories of one service, one from each vantage.
type Views []History

// Disagreement is a service that works from one vantage and fails from another: a
// firewall, split DNS, or a device on the way that strips STARTTLS.
type Disagreement struct {
	Service Service
	Works   []string // vantages
	Fails   []string // vantages, each with what it met: "office: no_starttls: …"
}

// String says it to a person.
func (d Disagreement) String() string {
	return d.Service.String() + ": works from " + strings.Join(d.Works, ", ") + "; " + strings.Join(d.Fails, "; ")
}

// heard returns the views of vantages that have an outcome.
func (v Views) heard() Views {
	return slices.DeleteFunc(slices.Clone(v), func(h History) bool { return h.Newest.At.IsZero() })
}

// goodness ranks what a vantage says of a service: never seen to work, failing, working.
func (h History) goodness(now time.Time, p Policy) int {
	switch _, failing := h.Failing(now, p); {
	case h.Success.At.IsZero():
		return 0
	case failing:
		return 1
	default:
		return 2
	}
}

// decide returns the history that stands for all: that of the vantage which decides by
// the policy. Its first success is the first of all.
func (v Views) decide(now time.Time, p Policy) History {
	views := v.heard()
	if len(views) == 0 {
		return History{}
	}
	// The best first; of equal ones the one that succeeded last, then by name.
	slices.SortFunc(views, func(a, b History) int {
		if by := b.goodness(now, p) - a.goodness(now, p); by != 0 {
			return by
		}
		if by := b.Success.At.Compare(a.Success.At); by != 0 {
			return by
		}
		return strings.Compare(a.Newest.Vantage, b.Newest.Vantage)
	})
	chosen := views[0]
	switch p.Vantage {
	case VantageAll:
		chosen = views[len(views)-1]
	case VantageMajority:
		chosen = views[len(views)/2]
	case VantageAny:
	}
	for _, h := range views {
		if first := h.FirstSuccess; !first.IsZero() && (chosen.FirstSuccess.IsZero() || first.Before(chosen.FirstSuccess)) {
			chosen.FirstSuccess = first
		}
	}
	return chosen
}

// path returns the context path that one vantage has seen, unless another one sees the
// service work at another path: "" then.
func (v Views) path(now time.Time, p Policy, seen string) string {
	for _, h := range v {
		if h.goodness(now, p) == 2 && h.Success.Verdict().Path != seen {
			return ""
		}
	}
	return seen
}

// outside tells whether some vantage sees the service work now, freshly, and not only
// over local addresses.
func (v Views) outside(now time.Time, p Policy) bool {
	return slices.ContainsFunc(v, func(h History) bool {
		return h.goodness(now, p) == 2 && now.Before(h.Success.At.Add(p.MaxAge)) && !h.Success.Verdict().Local
	})
}

// disagree returns what vantages see differently, or nil. Failures that do not count
// are no disagreement.
func (v Views) disagree(s Service) *Disagreement {
	d := Disagreement{Service: s}
	for _, h := range v.heard() {
		verdict := h.Newest.Verdict()
		switch {
		case verdict.Verified:
			d.Works = append(d.Works, h.Newest.Vantage)
		case verdict.Failure.Kind.Weight() == Ordinary || verdict.Failure.Kind.Weight() == Unsafe:
			d.Fails = append(d.Fails, h.Newest.Vantage+": "+verdict.Failure.String())
		}
	}
	if len(d.Works) == 0 || len(d.Fails) == 0 {
		return nil
	}
	slices.Sort(d.Works)
	slices.Sort(d.Fails)
	return &d
}
