package monitor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"mailconfd/settings"
)

// A probe is stopped after probeTime, and given up if it has not ended dropTime later:
// that would be our own mistake, and says nothing about the service.
const (
	probeTime = 95 * time.Second
	dropTime  = 10 * time.Second
)

// result is what a probe came to.
type result struct {
	before Entry
	entry  Entry // with what was seen
	saved  bool
	err    error // why it was not saved
	cut    bool  // our own end cut the probe short: nothing was seen
}

// startAlone begins the probes that are due, as many as may run, while there is no store to tell.
func (m *Monitor) startAlone(ctx context.Context) {
	now := time.Now()
	for m.State() != nil && len(m.probing) < m.options.AtOnce {
		s, due, ok := m.due.First()
		if !ok || due.After(now) {
			return
		}
		m.begin(ctx, s, Claim{})
	}
}

// begin probes a service, with a claim or without.
func (m *Monitor) begin(ctx context.Context, s settings.Service, c Claim) {
	m.probing[s] = true
	m.due.Set(s, time.Time{})
	before := c.Entry
	if w := m.services[s]; w != nil && (c.Owner == "" || w.unsaved && w.own.History.Newest.At.After(c.History.Newest.At)) {
		before = w.own
	}
	interval := m.declared.Interval
	go func() { m.results <- m.round(ctx, c, before, interval) }()
}

// round probes a service and saves what was seen.
func (m *Monitor) round(ctx context.Context, c Claim, before Entry, interval time.Duration) result {
	o := m.look(ctx, before.Service)
	if ctx.Err() != nil {
		if c.Owner != "" {
			m.release(ctx, c)
		}
		return result{before: before, cut: true}
	}
	r := result{before: before, entry: before.add(o, time.Now(), interval)}
	if c.Owner == "" {
		return r
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	generation, err := m.options.Store.Save(ctx, c, r.entry)
	if r.saved, r.err = err == nil, err; r.saved {
		r.entry.Generation = generation
	}
	return r
}

// add returns the entry with one more observation, and when the next is due.
func (e Entry) add(o settings.Observation, now time.Time, interval time.Duration) Entry {
	o.Vantage = e.Vantage
	e.History = settled(e.History, o.At).Add(o)
	e.Tries++
	if o.Verdict().Verified {
		e.Tries = 0
	}
	e.Due = now.Add(delay(e, interval))
	return e
}

// settled brings a history back to a time: what lies after it was written while a clock
// was wrong, and happened before, since one probe follows the other.
func settled(h settings.History, now time.Time) settings.History {
	for _, t := range []*time.Time{
		&h.FirstSuccess, &h.Success.At, &h.Newest.At,
		&h.Failed.First, &h.Failed.Last, &h.Unsafe.First, &h.Unsafe.Last, &h.Temporary.First, &h.Temporary.Last,
	} {
		if t.After(now) {
			*t = now
		}
	}
	return h
}

// saw takes in what a probe saw.
func (m *Monitor) saw(r result) {
	s := r.before.Service
	delete(m.probing, s)
	if r.cut {
		return
	}
	newest := r.entry.History.Newest
	verdict := newest.Verdict()
	m.count(s, verdict)
	w := m.services[s]
	switch {
	case errors.Is(r.err, ErrLost):
		m.options.Log.Warn("a probe took longer than its lease; what it saw is not kept", "service", s.String())
		if w != nil {
			m.due.Set(s, w.own.Due)
		}
		return
	case r.err != nil:
		m.failed(r.err)
	}
	if w == nil {
		return // no longer declared, or declared by a replica alone
	}
	m.report(s, r.before.History, r.entry.History)
	m.due.Set(s, r.entry.Due)
	if r.saved && r.entry.Generation < w.own.Generation {
		return // somebody has saved another one meanwhile
	}
	m.mu.Lock()
	w.own, w.unsaved = r.entry, !r.saved
	m.mu.Unlock()
	for _, p := range w.users {
		m.verify(p)
		if !verdict.Verified {
			m.hurryStandIns(p, s)
		}
	}
}

// look makes one probe that is sure to end.
func (m *Monitor) look(ctx context.Context, s settings.Service) settings.Observation {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	ended := make(chan settings.Observation, 1)
	go func() {
		defer func() {
			if broken := recover(); broken != nil {
				m.options.Log.Error("a probe panicked; please report it", "service", s.String(), "panic", fmt.Sprint(broken))
				ended <- ownMistake(s, "the probe broke down")
			}
		}()
		ended <- m.options.Prober.Probe(ctx, s)
	}()
	select {
	case o := <-ended:
		return o
	case <-ctx.Done():
	}
	select {
	case o := <-ended:
		return o
	case <-time.After(dropTime):
		m.options.Log.Error("a probe did not end; please report it", "service", s.String())
		return ownMistake(s, "the probe did not end")
	}
}

func ownMistake(s settings.Service, detail string) settings.Observation {
	return settings.Observation{Service: s, At: time.Now(), Failure: &settings.Failure{Kind: settings.FailureLocal, Detail: detail}}
}

// looks are the pauses after failures in a row: seconds, then minutes. Together they
// last longer than the default withdraw_after_time, so that it is not overrun by a
// whole interval.
var looks = [...]time.Duration{
	5 * time.Second, 15 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 4 * time.Minute, 4 * time.Minute,
}

// delay returns when a service is looked at again. A healthy one: after the interval.
// One that fails: after seconds, then minutes, never later than after the interval. A
// first unsafe failure is confirmed at once. A tenth is left to chance, so that many
// do not come at once.
func delay(e Entry, interval time.Duration) time.Duration {
	d := interval
	switch {
	case e.Tries > 0 && e.History.Unsafe.Count == 1:
		return soonest(interval)
	case e.Tries > 0 && e.Tries <= len(looks):
		d = min(interval, looks[e.Tries-1])
	}
	return d - time.Duration(rand.Int64N(int64(d)/10+1))
}

// soonest is how soon a second look comes.
func soonest(interval time.Duration) time.Duration { return min(interval, looks[0]) }

// report logs a probe whose outcome differs from the one before, and each warning when
// it first appears, but for that of a certificate.
func (m *Monitor) report(s settings.Service, before, after settings.History) {
	log, v := m.options.Log, after.Newest.Verdict()
	was := settings.Verdict{}
	if !before.Newest.At.IsZero() {
		was = before.Newest.Verdict()
	}
	switch {
	case SameOutcome(before.Newest, after.Newest):
	case v.Verified:
		log.Info("service works", "service", s.String())
	default:
		log.Warn("service does not work", "service", s.String(), "kind", string(v.Failure.Kind), "detail", v.Failure.Detail, "remedy", v.Failure.Kind.Text().Remedy)
	}
	for _, w := range v.Warnings {
		if w.Kind == settings.WarnCertificateExpires {
			continue // whoever runs the monitor tells it once a certificate, not once a service
		}
		if !slices.ContainsFunc(was.Warnings, func(o settings.Warning) bool { return o.Kind == w.Kind }) {
			log.Warn("service has a flaw", "service", s.String(), "kind", string(w.Kind), "detail", w.Detail, "remedy", w.Kind.Text().Remedy)
		}
	}
}
