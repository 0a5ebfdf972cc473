package web

import (
	"fmt"
	"strings"
	"time"

	"mailconfd/internal/overview"
	"mailconfd/settings"
)

// mark stands beside each level: colour never carries a meaning alone.
func mark(l overview.Level) string {
	switch l {
	case overview.Well:
		return "✓"
	case overview.Warning:
		return "!"
	case overview.Fault:
		return "✗"
	case overview.Waiting:
		return "…"
	default:
		return "–"
	}
}

// verdict says the whole in one line.
func verdict(r overview.Report) string {
	n := r.Levels
	switch {
	case r.Level == overview.Fault:
		return plural(n[overview.Fault], "provider has a fault", "providers have faults")
	case r.Level == overview.Warning:
		return "Clients are served; " + plural(n[overview.Warning], "provider has something to mend", "providers have something to mend")
	case r.Level == overview.Waiting && n[overview.Waiting] == 0:
		return "Nothing has been declared yet"
	case r.Level == overview.Waiting:
		return plural(n[overview.Waiting], "provider is being looked at for the first time", "providers are being looked at for the first time")
	default:
		return "All is well"
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n) + " " + many
}

// word says in a word or two how a service stands.
func word(s overview.Service) string {
	switch {
	case s.Published && s.Answer:
		return "told to clients, " + string(s.Basis)
	case s.Published:
		return "stands by, " + string(s.Basis)
	case s.Level == overview.Absent:
		return "not there"
	default:
		return "withheld: " + strings.ReplaceAll(string(s.Withheld), "_", " ")
	}
}

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
	return span(now.Sub(t)) + " ago"
}

// lasting says how long something has been so.
func lasting(now, t time.Time) string { return "for " + span(max(now.Sub(t), 0)) }

// until says how long after now something will be.
func until(now, t time.Time) string {
	if !t.After(now) {
		return span(now.Sub(t)) + " ago"
	}
	return "in " + span(t.Sub(now))
}

// span says a duration in its largest unit, cut, not rounded: a certificate that has a
// day and 23 hours left has one day left.
func span(d time.Duration) string {
	units := []struct {
		size      time.Duration
		one, many string
	}{
		{24 * time.Hour, "day", "days"}, {time.Hour, "hour", "hours"}, {time.Minute, "minute", "minutes"},
	}
	for _, u := range units {
		if n := int(d / u.size); n > 0 {
			return plural(n, u.one, u.many)
		}
	}
	return plural(int(d/time.Second), "second", "seconds")
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
