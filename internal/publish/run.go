package publish

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
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

	still bool     // the zone did not change while it was read
	undid []dns.RR // what the server left out the last time
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

// read takes in what the zone holds and plans what there is to do. It asks many
// questions, and another run may write in between: then markers and records do not fit
// together, and what is ours looks like somebody else's edit. So where something is foreign, it counts only
// when the serial stood still meanwhile. All else is for prerequisites to find out.
func (r *run) read(ctx context.Context) error {
	for attempt := range maxAttempts {
		if err := pause(ctx, attempt); err != nil {
			return err
		}
		state, err := r.zoneState(ctx)
		if err != nil {
			return err
		}
		after, err := r.serial(ctx)
		if err != nil {
			return err
		}
		r.seen, r.still = state, after == state.serial
		r.plan = Difference(state.records, state.wanted, state.ours, r.job.Mode)
		if held := r.lastOf(state); r.job.KeepLast && len(held) > 0 {
			r.plan = Difference(state.records, with(state.wanted, held), state.ours, r.job.Mode)
			r.plan.Held = held
		}
		r.plan.Elsewhere, r.plan.Foreign = state.others, append(r.plan.Foreign, state.apart...)
		if r.still || len(r.plan.Foreign) == 0 {
			break
		}
	}
	return nil
}

// publish reads and writes until the zone is as it should be.
func (r *run) publish(ctx context.Context) (Plan, error) {
	var done Plan
	var broke error // the connection, while an update was under way
	for attempt := 0; attempt < maxAttempts; {
		if err := pause(ctx, attempt); err != nil {
			return done, err
		}
		attempt++
		if err := r.read(ctx); err != nil {
			return done, unknown(err, broke)
		}
		if r.plan.Empty() {
			done.add(r.plan)
			return done, nil
		}
		if err := r.tooMany(); err != nil {
			return done, err
		}
		part, message, whole := r.fit()
		err := r.update(ctx, message)
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
		if !whole {
			attempt = 0 // the next part
		}
		done.add(part)
		err = r.finish(ctx, part)
		done.undo(r.undid)
		if err != nil {
			return done, err
		}
	}
	if broke != nil {
		return done, unknown(broke, broke)
	}
	return done, r.fail(KindChanging, "others change the same records again and again: gave up after %d attempts; run it again when they are done", maxAttempts)
}

// maxMarkers bounds the set of markers, in octets: a server must be able to say it in one answer.
const maxMarkers = 60_000

// markersAfter returns how large the set of markers is once a plan is carried out, in octets.
func (r *run) markersAfter(p Plan) int {
	sum := func(records []dns.RR) (size int) {
		for _, rr := range records {
			size += dns.Len(rr) - len(MarkerName(r.zone.Name)) + 2 // the name stands there once
		}
		return size
	}
	return sum(r.seen.marks) + sum(p.Mark.records(r.zone.Name, 0)) - sum(p.Unmark.records(r.zone.Name, 0))
}

// tooMany refuses what would make the set of markers too large to be read again.
func (r *run) tooMany() error {
	size := r.markersAfter(r.plan)
	if size > maxMarkers && len(r.plan.Mark) > len(r.plan.Unmark) {
		return r.fail(KindTooLarge, "the markers of so many records, %d octets, are more than one answer can hold, 64 KiB: give some domains a zone of their own, or let their names be aliases of one set", size)
	}
	return nil
}

// add takes in what was carried out.
func (p *Plan) add(part Plan) {
	p.Add, p.Delete = append(p.Add, part.Add...), append(p.Delete, part.Delete...)
	p.Mark, p.Unmark = append(p.Mark, part.Mark...), append(p.Unmark, part.Unmark...)
	p.Foreign, p.Keep, p.Elsewhere, p.Held = part.Foreign, part.Keep, part.Elsewhere, part.Held
}

// maxUpdate leaves room for a signature.
const maxUpdate = dns.MaxMsgSize - 1024

// fit makes a message of the plan, or, where one message or the set of markers cannot say it, of the part for as
// many domains as it can. Each domain is changed as a whole.
func (r *run) fit() (part Plan, message *dns.Msg, whole bool) {
	part, whole = r.plan.staged(), true
	for {
		message = r.message(part)
		message.Compress = true
		_, domains := part.part(0)
		if domains <= 1 || message.Len() <= maxUpdate && r.markersAfter(part) <= max(maxMarkers, r.markersAfter(Plan{})) {
			return part, message, whole
		}
		part, _ = part.part(domains / 2)
		whole = false
	}
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

// finish reads back what was written, and mends it, even when the job is to end: what it replaced is gone already.
func (r *run) finish(ctx context.Context, part Plan) error {
	mending, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*settleTime)
	defer stop()
	return r.readBack(ctx, mending, part)
}

// readBack reads what the server holds after it said yes to a plan. It returns nil when
// all of it is there, and when somebody has changed it since: the next attempt sees to that.
func (r *run) readBack(ctx, mending context.Context, plan Plan) error {
	before := r.seen.serial
	again := false // what was left out was added by itself
	r.undid = nil
	deadline := time.Now().Add(settleTime)
	for {
		if err := r.read(mending); err != nil {
			return err
		}
		if missing := r.dropped(plan); len(missing) > 0 && r.still {
			if !again && !slices.ContainsFunc(missing, isNoAlias) {
				again = true
				if err := r.addAlone(mending, missing); !errors.Is(err, errChanged) {
					if err != nil {
						return err
					}
					continue
				}
			}
			if err := r.undo(mending, plan, missing); !errors.Is(err, errChanged) {
				return err
			}
			// Another run has written markers of its own since.
			if err := pause(mending, 1); err != nil {
				return err
			}
			continue
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

func isNoAlias(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeCNAME }

// addAlone adds aliases where nothing is any more. In a zone that it signs, Knot DNS 3.2 leaves out an alias whose
// name had something else before the update, since the signatures of that are there until it is over.
func (r *run) addAlone(ctx context.Context, aliases []dns.RR) error {
	m := new(dns.Msg)
	m.SetUpdate(dns.Fqdn(r.zone.Name))
	for _, rr := range aliases {
		m.NameNotUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: keyOf(rr).owner}}})
	}
	m.Insert(copies(aliases))
	return r.update(ctx, m)
}

// dropped returns the records of a plan that are not there although their markers are, nor
// is anything else in their sets but the same with another TTL: the server has left them out, or somebody
// has taken them away in the blink of an eye since. Where something else is, somebody has edited the set.
func (r *run) dropped(plan Plan) []dns.RR {
	there := bySet(r.seen.records)
	var missing []dns.RR
	for _, rr := range plan.Add {
		m, set := Mark(rr), there[keyOf(rr)]
		if r.seen.ours.Owns(rr) && !slices.ContainsFunc(set, m.of) && (len(set) == 0 || shared(m.key()) || otherTTL(set, rr)) {
			missing = append(missing, rr)
		}
	}
	return missing
}

func otherTTL(set []dns.RR, rr dns.RR) bool {
	return slices.ContainsFunc(set, func(other dns.RR) bool { return data(other) == data(rr) })
}

// undo takes away the markers of records that are not there, and puts back what was taken away for an alias
// among them, so that the zone is as it was. It is an
// error when the same would be tried again. A record with another TTL is ours as the server has it.
func (r *run) undo(ctx context.Context, plan Plan, missing []dns.RR) error {
	undo := Plan{touched: map[setKey][]dns.RR{}}
	there := bySet(r.seen.records)
	var leftOut []dns.RR
	for _, rr := range missing {
		if !otherTTL(there[keyOf(rr)], rr) {
			leftOut = append(leftOut, rr)
			undo.Unmark = append(undo.Unmark, Mark(rr))
		}
		for _, gone := range plan.replacedBy(rr) {
			undo.Add = append(undo.Add, gone)
			undo.touched[keyOf(gone)] = there[keyOf(gone)]
			if m := Mark(gone); slices.Contains(plan.Mark, m) {
				undo.Unmark = append(undo.Unmark, m) // it was adopted
			}
		}
	}
	undo.remark(there, slices.Concat(missing, plan.Keep))
	if err := r.update(ctx, r.message(undo)); err != nil {
		return err
	}
	r.undid = leftOut
	if err := r.read(ctx); err != nil {
		return err
	}
	if slices.ContainsFunc(missing, func(rr dns.RR) bool { return !contains(r.plan.Add, rr) }) {
		return nil // somebody else's record has come in between: go on without
	}
	first := missing[0]
	if set := there[keyOf(first)]; otherTTL(set, first) {
		return r.fail(KindNotApplied, "the server said yes to %q and has %q: it changes a TTL that it finds too short or too long; give one that it takes, by ttl", text(first), text(set[0]))
	}
	return r.fail(KindNotApplied, "the server said yes to %q and left it out: its log may say why; for an alias, something else may stand at its name", text(first))
}

// remark gives records that a server has with another TTL the markers of what it has.
func (p *Plan) remark(there map[setKey][]dns.RR, records []dns.RR) {
	for _, rr := range records {
		for _, has := range there[keyOf(rr)] {
			if data(has) == data(rr) && Mark(has) != Mark(rr) {
				p.Unmark, p.Mark = append(p.Unmark, Mark(rr)), append(p.Mark, Mark(has))
				p.touched[keyOf(rr)] = there[keyOf(rr)]
			}
		}
	}
}

// replacedBy returns what a plan takes away to make room for an alias.
func (p Plan) replacedBy(alias dns.RR) []dns.RR {
	if alias.Header().Rrtype != dns.TypeCNAME {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.Delete), func(rr dns.RR) bool {
		return keyOf(rr).owner != keyOf(alias).owner || keyOf(rr) == keyOf(alias)
	})
}

// undo takes out of what was done what was undone.
func (p *Plan) undo(undone []dns.RR) {
	for _, rr := range undone {
		replaced := p.replacedBy(rr)
		p.Delete = without(p.Delete, replaced)
		p.Mark = slices.DeleteFunc(p.Mark, func(m Marker) bool { return m.of(rr) || slices.ContainsFunc(replaced, m.of) })
	}
	p.Add = without(p.Add, undone)
}

// lastOf returns the records that the plan would take away although they are a domain's
// last for a use: wanted ones do not count before they can be written.
func (r *run) lastOf(state zoneState) []Held {
	var held []Held
	for _, rr := range Last(r.plan.Delete, slices.Concat(r.plan.Add, without(state.records, r.plan.Delete))) {
		held = append(held, Held{Record: rr, Last: true})
	}
	return held
}
