package publish

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/miekg/dns"
)

const (
	maxAttempts = 10              // to write, while others write too
	settleTime  = 5 * time.Second // for a server that passes updates on to show them
	settleStep  = 200 * time.Millisecond
)

// run is one job under way.
type run struct {
	zone Zone
	job  Job
	conn net.Conn
	seen zoneState
	plan Plan
}

func newRun(z Zone, job Job) *run {
	z.Name = dns.CanonicalName(z.Name)
	z.Name = z.Name[:max(len(z.Name)-1, 0)]
	if job.Wanted == nil {
		job.Wanted = Fixed(nil)
	}
	if job.Scope == nil {
		job.Scope = func(string) bool { return true }
	}
	return &run{zone: z, job: job}
}

// read takes in what the zone holds and plans what there is to do.
func (r *run) read(ctx context.Context) error {
	state, err := r.zoneState(ctx)
	if err != nil {
		return err
	}
	r.seen = state
	r.plan = Difference(state.records, state.wanted, state.ours, r.job.Mode)
	return nil
}

// publish reads and writes until the zone is as it should be.
func (r *run) publish(ctx context.Context) (Plan, error) {
	var done Plan
	var broke error // the connection, while an update was under way
	for attempt := range maxAttempts {
		if err := pause(ctx, attempt); err != nil {
			return done, err
		}
		if err := r.read(ctx); err != nil {
			return done, unknown(err, broke)
		}
		if r.plan.Empty() {
			done.Keep, done.Foreign = r.plan.Keep, r.plan.Foreign
			return done, nil
		}
		err := r.update(ctx, r.message(r.plan))
		var e *Error
		switch {
		case errors.Is(err, errChanged):
			continue
		case errors.As(err, &e) && e.Kind == KindUnreachable:
			broke = err // it may have been carried out or not: look again
			continue
		case err != nil:
			return done, err
		}
		done = r.plan
		if err := r.readBack(ctx); err != nil {
			return done, err
		}
	}
	if broke != nil {
		return done, unknown(broke, broke)
	}
	return done, r.fail(KindChanging, "others change the same records again and again: gave up after %d attempts; run it again when they are done", maxAttempts)
}

// unknown adds to an error that an update may have been carried out.
func unknown(err, broke error) error {
	var e *Error
	if broke == nil || !errors.As(err, &e) {
		return err
	}
	e.Text = "the connection broke while an update was under way, so it may be in the zone as a whole or not at all; running it again is safe. Then: " + e.Text
	return e
}

// pause waits before another attempt, each time longer, so that several runs at once do
// not meet for ever.
func pause(ctx context.Context, attempt int) error {
	if attempt == 0 {
		return ctx.Err()
	}
	return wait(ctx, rand.N(10*time.Millisecond<<min(attempt, 5)))
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readBack reads what the server holds after it said yes. It returns nil when all of
// the plan is there, and when somebody has changed it since: then there is another attempt.
func (r *run) readBack(ctx context.Context) error {
	before, plan := r.seen.serial, r.plan
	deadline := time.Now().Add(settleTime)
	for {
		if err := r.read(ctx); err != nil {
			return err
		}
		if missing := r.dropped(plan); len(missing) > 0 {
			return r.undo(ctx, plan, missing)
		}
		if r.seen.serial != before || r.plan.Empty() {
			return nil
		}
		if time.Now().After(deadline) {
			return r.fail(KindLagging, "the server said yes and still answers with the old zone, serial %d: it seems to be a secondary that passes updates on; give the address of the primary", before)
		}
		if err := wait(ctx, settleStep); err != nil {
			return err
		}
	}
}

// dropped returns the records of a plan that are not there although their markers are:
// the server has left them out.
func (r *run) dropped(plan Plan) []dns.RR {
	var missing []dns.RR
	for _, rr := range plan.Add {
		if r.seen.ours.Owns(rr) && !containsData(r.seen.records, rr) {
			missing = append(missing, rr)
		}
	}
	return missing
}

// undo takes away the markers of records that are not there.
func (r *run) undo(ctx context.Context, plan Plan, missing []dns.RR) error {
	var undo Plan
	for _, rr := range missing {
		undo.Unmark = append(undo.Unmark, Mark(rr))
	}
	if err := r.update(ctx, r.message(undo)); err != nil && !errors.Is(err, errChanged) {
		return err
	}
	what := text(missing[0])
	stands := "nothing"
	for _, rr := range r.seen.records {
		if keyOf(rr).owner == keyOf(missing[0]).owner {
			stands = text(rr)
		}
	}
	return r.fail(KindNotApplied, "the server said yes and left out %q, one of %d; at that name stands %q. An alias cannot stand beside other records, and some servers change a TTL that they find too short or too long", what, len(missing), stands)
}

// containsData tells whether a record is there as its marker has it: with its TTL but for shared sets.
func containsData(records []dns.RR, rr dns.RR) bool {
	m := Mark(rr)
	for _, other := range records {
		if m.of(other) {
			return true
		}
	}
	return false
}
