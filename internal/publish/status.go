package publish

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Status is how it went with a zone that is kept, since this process began.
type Status struct {
	Zone    string
	Looked  time.Time // when it was last looked at, whatever came of it; zero: not yet
	Changed time.Time // when it was last changed; zero: not yet
	Failed  time.Time // when a look failed the last time; zero: not yet
	Failure string    // why it did
	Failing bool      // the last look failed
	Remarks []string  // what is not as wanted although nothing fails: as the log has it
}

// Status returns that of every zone, by name.
func (k *Keeper) Status() []Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]Status, 0, len(k.kept))
	for name, z := range k.kept {
		z.mu.Lock()
		s := z.status
		z.mu.Unlock()
		s.Zone, s.Remarks = name, slices.Clone(s.Remarks)
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Zone, b.Zone) })
	return all
}

// Expect returns what a domain should have by the last look at its zone: what is wanted,
// and the records that stay beside it although they are not.
func (k *Keeper) Expect(zone, domain string, wanted Records) Records {
	k.mu.Lock()
	z := k.kept[zone]
	k.mu.Unlock()
	if z == nil {
		return wanted
	}
	z.mu.Lock()
	held := slices.DeleteFunc(slices.Clone(z.held), func(h Held) bool { return DomainOf(keyOf(h.Record).owner) != domain })
	z.mu.Unlock()
	return with(wanted, held)
}

// note remembers how a look went.
func (z *kept) note(now time.Time, plan Plan, held []Held, remarks []string, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	s := &z.status
	s.Looked, s.Failing = now, err != nil
	if !plan.Empty() {
		s.Changed = now
	}
	if err == nil {
		s.Remarks, z.held = remarks, slices.Concat(held, plan.Held)
		return
	}
	s.Failed, s.Failure = now, err.Error()
	if e, ok := errors.AsType[*Error](err); ok {
		s.Failure = e.Text
	}
}
