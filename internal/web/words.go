package web

import (
	"fmt"
	"slices"
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

// flaw is a kind of warning, with the services at which it was met.
type flaw struct {
	overview.Flaw
	At []string // "submission 587"
}

// flaws returns each kind of warning of a provider once, with the detail that it had where
// it was met first: several services have the same flaw, mostly.
func flaws(p overview.Provider) []flaw {
	var all []flaw
	for _, s := range p.Services {
		if s.Level == overview.Absent {
			continue
		}
		for _, w := range s.Warnings {
			if w.Kind == settings.WarnCertificateExpires {
				continue // it is among the problems, once a certificate
			}
			i := slices.IndexFunc(all, func(f flaw) bool { return f.Kind == w.Kind })
			if i < 0 {
				i = len(all)
				all = append(all, flaw{Flaw: w})
			}
			if at := fmt.Sprintf("%s %d", s.Service.Scheme, s.Service.Port); !slices.Contains(all[i].At, at) {
				all[i].At = append(all[i].At, at)
			}
		}
	}
	return all
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
