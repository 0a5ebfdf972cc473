package monitor

import (
	"context"
	"errors"
	"time"

	"mailconfd/settings"
)

// Store keeps the schedule and what was seen. Any number of processes, at any number
// of vantages, can share one.
//
// The schedule is data: a row for each service and vantage, with when it is due and who
// has leased it until when. There is no leader and no queue beside it; the lease of a
// process that was killed runs out, and another takes its place.
//
// The time is an argument, never the store's own clock, and is kept to the millisecond. An error
// means that nothing was changed. What was returned without an error is kept: a process
// that is killed after that loses nothing. All methods are safe for concurrent use.
type Store interface {
	// Declare says which services are looked at from the watcher's vantage. One that is
	// new there, or was retired, is due now; one that is known keeps its place, but is due
	// after one interval at the latest. All others of the vantage are retired: never
	// claimed again, until they are declared again. What was seen of them stays. Of
	// several declarations for one vantage the last counts.
	Declare(ctx context.Context, w Watcher, services []settings.Service, now time.Time) error

	// Hurry brings forward services of the watcher's vantage that are due later than the
	// times given. It never puts one off. What is not declared is passed over.
	Hurry(ctx context.Context, w Watcher, due map[settings.Service]time.Time) error

	// Claim takes at most n services of the watcher's vantage that are due and that nobody
	// has leased, those due first first, and leases them to it. No two claims of a service
	// and vantage are in force at the same time.
	//
	// A due time later than an interval from now, or a lease that ends later than two
	// leases from now, was written while a clock was wrong, and does not count.
	Claim(ctx context.Context, w Watcher, now time.Time, n int) ([]Claim, error)

	// Save keeps what a claim's holder has seen: history, tries and due time of e
	// become those of the claim's service and vantage, at once or not at all, and the claim ends. A
	// claim that has ended, or whose lease ran out and was taken by somebody, is refused
	// with ErrLost; one whose lease ran out and that nobody took is as good as ever.
	//
	// The newest observation is kept as a change too if the outcome differs from that
	// of the claim (see SameOutcome). A service that was retired meanwhile stays retired.
	//
	// It returns the generation, which each Save makes larger.
	Save(ctx context.Context, c Claim, e Entry) (generation int64, err error)

	// Release gives a claim back unused: the service is due as before. A claim that was
	// lost is passed over.
	Release(ctx context.Context, c Claim) error

	// Since returns the entries of all vantages that were saved after a generation, in no
	// order, and the generation up to which nothing is missing. After generation 0 these
	// are all entries that have a history, retired ones too.
	Since(ctx context.Context, generation int64) ([]Entry, int64, error)

	// Changes returns the newest n observations of a service, from all vantages, whose
	// outcome differs from the one before, the newest first.
	Changes(ctx context.Context, s settings.Service, n int) ([]settings.Observation, error)

	// Prune forgets changes made before a time, and those beyond the newest of each service and
	// vantage that are to be kept, but never the last; and entries of which nothing has been
	// seen since that time.
	Prune(ctx context.Context, before time.Time, keep int) error

	// Close ends the use of the store. It does not wait for other processes.
	Close() error
}

// Watcher is a process as the store knows it.
type Watcher struct {
	Vantage  string
	Owner    string        // of its claims: different for each process, and after each start
	Lease    time.Duration // how long a claim lasts
	Interval time.Duration // between two looks at a healthy service: the longest that a due time lies ahead
}

// Entry is what is kept of one service as one vantage sees it.
type Entry struct {
	Service    settings.Service
	Vantage    string
	History    settings.History
	Tries      int       // probes in a row that did not pass, for whatever reason
	Due        time.Time // of the next probe; zero: retired
	Generation int64     // of the last Save; 0: never saved
}

// Claim is the right to probe a service from a vantage and to save what was seen, for
// as long as a lease lasts.
type Claim struct {
	Entry // as it was when it was claimed
	Owner string
	Until time.Time // the end of the lease
}

// ErrLost is the error of a claim that is not in force any more.
var ErrLost = errors.New("the lease ran out, and another process looks at the service now")

// SameOutcome tells whether two observations came to the same: both verified, or both
// failed in the same way. None at all is another outcome than any.
func SameOutcome(a, b settings.Observation) bool { return outcome(a) == outcome(b) }

func outcome(o settings.Observation) string {
	if o.At.IsZero() {
		return ""
	}
	v := o.Verdict()
	if v.Verified {
		return verified
	}
	return string(v.Failure.Kind)
}

// verified is the outcome of a probe that passed; others are kinds of failure.
const verified = "verified"
