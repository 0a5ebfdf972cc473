package doctor

import (
	"cmp"
	"slices"

	"mailconfd/settings"
)

// blind returns why nothing can be seen from here, or "". That is so if the resolver
// answers no question, or if no connection comes about that a look-up had an address for:
// that a name has no address says nothing about the way to those that have one.
func (e *examination) blind() string {
	e.asked.mu.Lock()
	defer e.asked.mu.Unlock()
	var lookups, connections tally
	for _, a := range e.asked.answers {
		lookups.add(a.value.Failure, false)
	}
	for _, x := range e.asked.hops {
		for _, h := range x.made() {
			connections.add(h.Failure, e.options.Proxied && h.Silent)
		}
	}
	for _, o := range e.asked.probes {
		f := o.value.Verdict().Failure
		connections.add(f, e.options.Proxied && f != nil && slices.Contains(closes, f.Kind))
	}
	return cmp.Or(lookups.blind(), connections.blind())
}

// closes are what a probe makes of a connection that ends without a byte.
var closes = []settings.FailureKind{settings.FailureReset, settings.FailureProtocol, settings.FailureTemporary}

// tally counts answers of one sort, and those that only show that our own side does not
// work.
type tally struct {
	all, local int
	why        string
}

func (t *tally) add(f *settings.Failure, closed bool) {
	if f != nil && f.Kind == settings.FailureDNS {
		return
	}
	t.all++
	if f == nil || f.Kind != settings.FailureLocal && !closed {
		return
	}
	t.local++
	why := f.Detail
	if f.Kind != settings.FailureLocal {
		why = "the proxy closes every connection"
	}
	if t.why == "" || why < t.why { // whichever was met first, it is told alike
		t.why = why
	}
}

func (t *tally) blind() string {
	if t.local < t.all {
		return ""
	}
	return t.why
}
