// Package monitor keeps looking: it probes every declared service when it is due,
// saves what was seen, and hands on what may be published for a provider whenever
// that changes. It decides nothing itself: settings.Verify does, and when time alone
// changes the answer, a timer asks it again.
//
// Requests never come here and never wait for a probe.
package monitor

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailconfd/settings"
)

// Prober makes one round of probes of one service. It must end when ctx does, and
// not take longer than about a minute.
type Prober interface {
	Probe(context.Context, settings.Service) settings.Observation
}

// Store keeps histories. An error means that the observation was not kept; the
// monitor then goes on with what it holds in memory.
type Store interface {
	// Save adds an observation and returns the history that it makes.
	Save(context.Context, settings.Observation) (settings.History, error)
	// Histories returns what is known of the services; one never seen is left out.
	Histories(context.Context, []settings.Service) (map[settings.Service]settings.History, error)
}

// Declared is what the operator has written: it can change while the monitor runs.
type Declared struct {
	Providers []settings.Provider
	Policy    settings.Policy
	Interval  time.Duration // between two looks at a healthy service
}

// Options are what a Monitor works with. Prober, Store and Changed are needed.
type Options struct {
	Prober Prober
	Store  Store
	// Changed is told, one call at a time, what may be published for a provider, first
	// when its declaration is taken up and then whenever it changes.
	Changed func(settings.Provider, settings.Result)
	// Retired is told that a provider is no longer declared.
	Retired func(provider string)
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil: none
	AtOnce  int                   // probes at once in total; 0: 50
}

// Monitor watches the services of the declared providers. Make one with New and
// start it with Run.
type Monitor struct {
	prober  Prober
	store   Store
	changed func(settings.Provider, settings.Result)
	retired func(string)
	log     *slog.Logger
	metrics *metrics
	atOnce  int

	declare chan Declared
	results chan settings.Observation
	pending atomic.Pointer[[]string] // providers whose first round is not over; nil before Run

	// What follows belongs to the goroutine of Run.
	declared  Declared
	services  map[settings.Service]*watched
	providers map[string]*published
	running   int
}

// watched is a service on the schedule.
type watched struct {
	history settings.History
	due     time.Time
	probing bool
	tries   int // probes in a row that failed
}

// published is what was last handed on for a provider.
type published struct {
	provider settings.Provider
	result   settings.Result
	told     bool
}

// New makes a monitor. It does nothing before Run.
func New(o Options) *Monitor {
	m := &Monitor{
		prober: o.Prober, store: o.Store, changed: o.Changed, retired: o.Retired, log: o.Log, atOnce: o.AtOnce,
		declare:   make(chan Declared),
		results:   make(chan settings.Observation),
		services:  map[settings.Service]*watched{},
		providers: map[string]*published{},
		metrics:   newMetrics(o.Metrics),
	}
	if m.atOnce <= 0 {
		m.atOnce = 50
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.retired == nil {
		m.retired = func(string) {}
	}
	return m
}

// Declare replaces what the operator has written. What was seen of services that
// stay is kept. It returns once the monitor has taken it up, or with ctx's error.
func (m *Monitor) Declare(ctx context.Context, d Declared) error {
	select {
	case m.declare <- d:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ready returns nil once the first round of every provider is over, so that each
// question can be answered; before that an error that names who is waited for.
func (m *Monitor) Ready() error {
	switch waiting := m.pending.Load(); {
	case waiting == nil:
		return fmt.Errorf("probing has not started")
	case len(*waiting) > 0:
		return fmt.Errorf("the first round of probes is not over: %q", *waiting)
	}
	return nil
}

// Run watches until ctx ends. It returns when every probe has ended too.
func (m *Monitor) Run(ctx context.Context, d Declared) {
	m.take(ctx, d)
	for {
		m.start(ctx)
		timer := time.NewTimer(time.Until(m.next()))
		select {
		case <-ctx.Done():
			timer.Stop()
			for ; m.running > 0; m.running-- {
				<-m.results
			}
			return
		case d := <-m.declare:
			m.take(ctx, d)
		case o := <-m.results:
			m.running--
			m.saw(ctx, o)
		case now := <-timer.C:
			for _, p := range m.providers {
				if next := p.result.NextChange; !next.IsZero() && !next.After(now) {
					m.verify(p)
				}
			}
			m.note()
		}
		timer.Stop()
	}
}

// take puts a new declaration to work: services that are new are due at once,
// services that are gone are forgotten.
func (m *Monitor) take(ctx context.Context, d Declared) {
	m.declared = d
	all := map[settings.Service]bool{}
	names := map[string]bool{}
	for _, p := range d.Providers {
		names[p.Name] = true
		for _, s := range p.Candidates() {
			all[s] = true
		}
	}
	maps.DeleteFunc(m.services, func(s settings.Service, _ *watched) bool { return !all[s] })
	known, err := m.store.Histories(ctx, slices.SortedFunc(maps.Keys(all), settings.Service.Compare))
	if err != nil {
		m.log.Error("histories cannot be read; starting without them", "error", err)
	}
	now := time.Now()
	for s := range all {
		w := m.services[s]
		if w == nil {
			m.services[s] = &watched{history: known[s], due: now}
		} else if latest := now.Add(d.Interval); w.due.After(latest) {
			w.due = latest
		}
	}
	for name := range m.providers {
		if !names[name] {
			delete(m.providers, name)
			m.retired(name)
		}
	}
	for _, p := range d.Providers {
		if m.providers[p.Name] == nil {
			m.providers[p.Name] = &published{}
		}
		m.providers[p.Name].provider = p
		m.verify(m.providers[p.Name])
	}
	m.note()
}

// start begins the probes that are due, the longest due first, as many as may run.
func (m *Monitor) start(ctx context.Context) {
	now := time.Now()
	var due []settings.Service
	for s, w := range m.services {
		if !w.probing && !w.due.After(now) {
			due = append(due, s)
		}
	}
	slices.SortFunc(due, func(a, b settings.Service) int {
		if c := m.services[a].due.Compare(m.services[b].due); c != 0 {
			return c
		}
		return a.Compare(b)
	})
	for _, s := range due[:min(len(due), m.atOnce-m.running)] {
		m.services[s].probing = true
		m.running++
		go func() { m.results <- m.prober.Probe(ctx, s) }()
	}
}

// next returns when something is to be done: a probe becomes due, or time alone
// changes what is published.
func (m *Monitor) next() time.Time {
	next := time.Now().Add(time.Hour)
	for _, w := range m.services {
		if !w.probing && m.running < m.atOnce && w.due.Before(next) {
			next = w.due
		}
	}
	for _, p := range m.providers {
		if c := p.result.NextChange; !c.IsZero() && c.Before(next) {
			next = c
		}
	}
	return next
}

// saw takes in what a probe saw.
func (m *Monitor) saw(ctx context.Context, o settings.Observation) {
	w := m.services[o.Service]
	if w == nil || ctx.Err() != nil {
		return // no longer declared; or cut short by our own end, which says nothing of the service
	}
	before := w.history
	history, err := m.store.Save(ctx, o)
	if err != nil {
		m.log.Error("an observation was not kept", "service", o.Service.String(), "error", err)
		history = before.Add(o)
	}
	w.history, w.probing = history, false
	verdict := o.Verdict()
	m.metrics.probed(o.Service, verdict)
	m.report(o.Service, before, verdict)
	if verdict.Verified {
		w.tries = 0
	} else {
		w.tries++
	}
	w.due = time.Now().Add(delay(w.tries, !history.Success.At.IsZero(), m.declared.Interval))
	for _, p := range m.providers {
		if slices.Contains(p.provider.Candidates(), o.Service) {
			m.verify(p)
			if !verdict.Verified {
				m.hurryStandIns(p, o.Service)
			}
		}
	}
	m.note()
}

// hurryStandIns looks at the other services of a role soon when a published one has
// failed: it can step back only behind what has been seen to work since.
func (m *Monitor) hurryStandIns(p *published, failed settings.Service) {
	since := m.services[failed].history.Failed.First
	answers := p.result.Verified.Services(failed.Role())
	if since.IsZero() || !slices.ContainsFunc(answers, func(a settings.Published) bool { return a.Service == failed }) {
		return
	}
	for _, a := range answers {
		w := m.services[a.Service]
		soon := time.Now().Add(delay(1, true, m.declared.Interval))
		if a.Service != failed && !w.history.Newest.At.After(since) && w.due.After(soon) {
			w.due = soon
		}
	}
}

// verify asks what may be published now, and hands it on if that is new.
func (m *Monitor) verify(p *published) {
	histories := map[settings.Service]settings.History{}
	for _, s := range p.provider.Candidates() {
		histories[s] = m.services[s].history
	}
	result := settings.Verify(p.provider, histories, time.Now(), m.declared.Policy)
	same := p.told && result.Verified.Equal(p.result.Verified) && sameReasons(result.Withheld, p.result.Withheld)
	p.result = result
	if !same {
		p.told = true
		m.changed(p.provider, result)
	}
}

func sameReasons(a, b []settings.Withheld) bool {
	return slices.EqualFunc(a, b, func(a, b settings.Withheld) bool {
		return a.Service == b.Service && a.Why == b.Why && (a.Failure == nil) == (b.Failure == nil) &&
			(a.Failure == nil || a.Failure.Kind == b.Failure.Kind)
	})
}

// note refreshes what Ready and the metrics tell.
func (m *Monitor) note() {
	waiting := []string{}
	for name, p := range m.providers {
		if slices.ContainsFunc(settings.Roles(), p.result.Verified.Undecided) {
			waiting = append(waiting, name)
		}
	}
	slices.Sort(waiting)
	m.pending.Store(&waiting)
	var all []settings.Result
	for _, p := range m.providers {
		all = append(all, p.result)
	}
	m.metrics.publishing(all)
}

// report logs a probe whose outcome differs from the one before.
func (m *Monitor) report(s settings.Service, before settings.History, v settings.Verdict) {
	var was *settings.Failure
	if !before.Newest.At.IsZero() {
		was = before.Newest.Verdict().Failure
	}
	switch {
	case v.Verified && (before.Newest.At.IsZero() || was != nil):
		m.log.Info("service works", "service", s.String(), "warnings", len(v.Warnings))
	case !v.Verified && (was == nil || was.Kind != v.Failure.Kind):
		m.log.Warn("service does not work", "service", s.String(), "kind", string(v.Failure.Kind), "detail", v.Failure.Detail, "remedy", v.Failure.Kind.Text().Remedy)
	}
	for _, w := range v.Warnings {
		m.log.Debug("service has a warning", "service", s.String(), "kind", string(w.Kind), "detail", w.Detail)
	}
}

// looks are the pauses after failures in a row: seconds, then minutes. Together they
// last longer than the default withdraw_after_time, so that it is not overrun by a
// whole interval.
var looks = [...]time.Duration{
	5 * time.Second, 15 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 4 * time.Minute, 4 * time.Minute,
}

// delay returns when a service is looked at again. A healthy one: after the interval.
// One that has worked and now fails: after seconds, then minutes, never later than
// after the interval. One that never worked: after ever longer, up to four intervals.
// A tenth is left to chance, so that many do not come at once.
func delay(tries int, worked bool, interval time.Duration) time.Duration {
	d := interval
	switch {
	case tries > 0 && worked && tries <= len(looks):
		d = min(interval, looks[tries-1])
	case tries > 0 && !worked:
		d = interval * time.Duration(min(tries, 4))
	}
	return d - time.Duration(rand.Int64N(int64(d)/10+1))
}
