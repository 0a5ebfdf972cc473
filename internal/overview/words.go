package overview

import (
	"fmt"
	"strings"
	"time"
)

// Mark returns the sign that stands beside a level: colour never carries a meaning alone.
func (l Level) Mark() string {
	switch l {
	case Well:
		return "✓"
	case Warning:
		return "!"
	case Fault:
		return "✗"
	case Waiting:
		return "…"
	default:
		return "–"
	}
}

// Verdict says the whole in one line.
func (r Report) Verdict() string {
	n := r.Levels
	switch {
	case r.Level == Fault:
		return Count(n[Fault], "provider has a fault", "providers have faults")
	case r.Level == Warning:
		return "Clients are served; " + Count(n[Warning], "provider has something to mend", "providers have something to mend")
	case r.Level == Waiting && n[Waiting] == 0:
		return "Nothing has been declared yet"
	case r.Level == Waiting:
		return Count(n[Waiting], "provider is being looked at for the first time", "providers are being looked at for the first time")
	default:
		return "All is well"
	}
}

// Stands says in a few words how a service stands.
func (s Service) Stands() string {
	switch {
	case s.Published && s.Answer:
		return "told to clients, " + string(s.Basis)
	case s.Published:
		return "stands by, " + string(s.Basis)
	case s.Level == Absent:
		return "not there"
	default:
		return "withheld: " + strings.ReplaceAll(string(s.Withheld), "_", " ")
	}
}

// Stands says in a few words how a zone stands.
func (z Zone) Stands() string {
	switch {
	case z.Looked == nil:
		return "not looked at yet"
	case z.Failing:
		return "fails"
	case len(z.Remarks) > 0:
		return "in step, but for " + Count(len(z.Remarks), "remark", "remarks")
	}
	return "in step"
}

// Count returns a number with its word.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n) + " " + many
}

// Span says a duration in its largest unit, cut, not rounded: a certificate that has a
// day and 23 hours left has one day left.
func Span(d time.Duration) string {
	units := []struct {
		size      time.Duration
		one, many string
	}{
		{day, "day", "days"}, {time.Hour, "hour", "hours"}, {time.Minute, "minute", "minutes"},
	}
	for _, u := range units {
		if n := int(d / u.size); n > 0 {
			return Count(n, u.one, u.many)
		}
	}
	return Count(int(max(d, 0)/time.Second), "second", "seconds")
}
