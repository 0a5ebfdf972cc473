package web

import (
	"time"

	"mailconfd/internal/overview"
	"mailconfd/settings"
)

// outcome says in a word what an observation came to.
func outcome(o settings.Observation) string {
	if f := o.Verdict().Failure; f != nil {
		return string(f.Kind)
	}
	return "works"
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// ago says how long before now something was.
func ago(now, t time.Time) string {
	if now.Sub(t) < time.Second {
		return "now"
	}
	return overview.Span(now.Sub(t)) + " ago"
}

// lasting says how long something has been so.
func lasting(now, t time.Time) string { return "for " + overview.Span(max(now.Sub(t), 0)) }

// until says how long after now something will be.
func until(now, t time.Time) string {
	if !t.After(now) {
		return overview.Span(now.Sub(t)) + " ago"
	}
	return "in " + overview.Span(t.Sub(now))
}

// pages returns the numbers of the pages to link to: the first, the last and those
// around this one; 0 is a gap.
func pages(r overview.Report) []int {
	var all []int
	for n := 1; n <= r.Pages; n++ {
		switch {
		case n == 1 || n == r.Pages || n >= r.Page-2 && n <= r.Page+2:
			all = append(all, n)
		case all[len(all)-1] != 0:
			all = append(all, 0)
		}
	}
	return all
}
