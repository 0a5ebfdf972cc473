package settings

import (
	"cmp"
	"slices"
	"time"
)

// History is what the observations of one service come to: what Verify needs, and
// all that has to be kept. The zero History has seen nothing.
type History struct {
	FirstSuccess time.Time
	Success      Observation // the newest that verified the service; zero At: none
	Newest       Observation // the newest of all; zero At: none
	// The failures since Success, by how they count. Failed counts ordinary and unsafe
	// ones; Unsafe and Temporary count only their own.
	Failed, Unsafe, Temporary Run
}

// Run is a number of failures with no success between them.
type Run struct {
	Count       int
	First, Last time.Time
}

func (r Run) with(at time.Time) Run {
	if r.Count == 0 {
		r.First = at
	}
	return Run{r.Count + 1, r.First, at}
}

// plus joins two runs that lie in the same time without a success.
func (r Run) plus(s Run) Run {
	switch {
	case s.Count == 0:
		return r
	case r.Count == 0:
		return s
	}
	joined := Run{r.Count + s.Count, r.First, r.Last}
	if s.First.Before(r.First) {
		joined.First = s.First
	}
	if s.Last.After(r.Last) {
		joined.Last = s.Last
	}
	return joined
}

// Fold makes a history of observations of one service, in whatever order they come.
func Fold(observations ...Observation) History {
	sorted := slices.SortedStableFunc(slices.Values(observations), func(a, b Observation) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(outcome(a), outcome(b)))
	})
	var h History
	for _, o := range sorted {
		h = h.Add(o)
	}
	return h
}

// outcome makes the order of observations of one instant definite; a success comes last.
func outcome(o Observation) string {
	if f := o.Verdict().Failure; f != nil {
		return f.String()
	}
	return "~"
}

// Add returns the history with one more observation, which must not be older than
// the newest one: an older one is ignored (Fold puts them in order).
func (h History) Add(o Observation) History {
	if o.At.Before(h.Newest.At) {
		return h
	}
	h.Newest = o
	v := o.Verdict()
	if v.Verified {
		if h.FirstSuccess.IsZero() {
			h.FirstSuccess = o.At
		}
		h.Success = o
		h.Failed, h.Unsafe, h.Temporary = Run{}, Run{}, Run{}
		return h
	}
	switch v.Failure.Kind.Weight() {
	case Unsafe:
		h.Unsafe = h.Unsafe.with(o.At)
		h.Failed = h.Failed.with(o.At)
	case Ordinary:
		h.Failed = h.Failed.with(o.At)
	case Temporary:
		h.Temporary = h.Temporary.with(o.At)
	case Local:
	}
	return h
}

// Failing tells whether the service counts as failing, and since when: since the first
// of the failures in a row. It has failed WithdrawAfter times in a row over at least
// WithdrawAfterTime, or in an unsafe way twice. Temporary failures count once the last
// success is older than MaxAge.
func (h History) Failing(now time.Time, p Policy) (since time.Time, failing bool) {
	run := h.Failed
	if !now.Before(h.Success.At.Add(p.MaxAge)) {
		run = run.plus(h.Temporary)
	}
	long := run.Count >= p.WithdrawAfter && run.Last.Sub(run.First) >= p.WithdrawAfterTime
	if run.Count > 0 && (long || h.Unsafe.Count >= 2) {
		return run.First, true
	}
	return time.Time{}, false
}

// doubted tells whether anything that counts has been seen to fail since the success.
func (h History) doubted() bool { return h.Failed.Count+h.Temporary.Count > 0 }
