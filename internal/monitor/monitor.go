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
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailconfd/settings"
)

// Prober makes one round of probes of one service. It must end when ctx does.
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
	Providers []settings.Provider // names are unique
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
	AtOnce  int                   // probes at once in total; 0: 250
}

// Monitor watches the services of the declared providers. Make one with New and
// start it with Run.
type Monitor struct {
	options Options
	probes  *prometheus.CounterVec

	declare chan declaration
	results chan settings.Observation
	ready   atomic.Bool

	// What follows is changed by the goroutine of Run alone, and under mu; that goroutine
	// reads it without.
	mu        sync.RWMutex
	declared  Declared
	services  map[settings.Service]*watched
	providers map[string]*published

	// The schedule belongs to the goroutine of Run.
	due     queue[settings.Service]
	changes queue[string] // providers, by when time alone changes what is published
	probing map[settings.Service]bool
}

type declaration struct {
	Declared
	taken chan<- struct{}
}

// watched is a declared service.
type watched struct {
	history settings.History
	tries   int // probes in a row that failed
	users   []*published
}

// published is what was last handed on for a provider.
type published struct {
	provider settings.Provider
	result   settings.Result
	told     bool
}

// New makes a monitor. It does nothing before Run.
func New(o Options) *Monitor {
	if o.AtOnce <= 0 {
		o.AtOnce = 250
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Retired == nil {
		o.Retired = func(string) {}
	}
	m := &Monitor{
		options:   o,
		declare:   make(chan declaration),
		results:   make(chan settings.Observation),
		services:  map[settings.Service]*watched{},
		providers: map[string]*published{},
		probing:   map[settings.Service]bool{},
	}
	m.register(o.Metrics)
	return m
}

// Declare replaces what the operator has written. What was seen of services that
// stay is kept; those that do not work are looked at again at once. It returns once
// the monitor has taken it up, or with ctx's error.
func (m *Monitor) Declare(ctx context.Context, d Declared) error {
	taken := make(chan struct{})
	select {
	case m.declare <- declaration{d, taken}:
		<-taken
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ready returns nil once the first round has decided for every provider, and from then
// on: each question can be answered. Before that the error names who is waited for.
func (m *Monitor) Ready() error {
	if m.ready.Load() {
		return nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if len(m.providers) == 0 {
		return fmt.Errorf("probing has not started")
	}
	var waiting []string
	for name, p := range m.providers {
		if slices.ContainsFunc(settings.Roles(), p.result.Verified.Undecided) {
			waiting = append(waiting, name)
		}
	}
	if len(waiting) > 0 {
		slices.Sort(waiting)
		return fmt.Errorf("the first round of probes is not over for %q", waiting)
	}
	m.ready.Store(true)
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
			for range m.probing {
				<-m.results
			}
			return
		case d := <-m.declare:
			m.take(ctx, d.Declared)
			close(d.taken)
		case o := <-m.results:
			delete(m.probing, o.Service)
			m.saw(ctx, o)
		case now := <-timer.C:
			m.timePassed(now)
		}
		timer.Stop()
	}
}

// take puts a new declaration to work: services that are new are due at once,
// services that are gone are forgotten.
func (m *Monitor) take(ctx context.Context, d Declared) {
	users := map[settings.Service][]*published{}
	providers := map[string]*published{}
	for _, p := range d.Providers {
		now := m.providers[p.Name]
		if now == nil {
			now = &published{}
		}
		m.mu.Lock()
		now.provider = p
		m.mu.Unlock()
		providers[p.Name] = now
		for _, s := range p.Candidates() {
			users[s] = append(users[s], now)
		}
	}
	gone := m.replace(ctx, d, users, providers)
	for _, name := range gone {
		m.changes.set(name, time.Time{})
		m.options.Retired(name)
	}
	for _, p := range d.Providers {
		m.verify(providers[p.Name])
	}
}

// replace sets who is declared, plans when each service is looked at, and returns the
// providers that are gone.
func (m *Monitor) replace(ctx context.Context, d Declared, users map[settings.Service][]*published, providers map[string]*published) (gone []string) {
	known, err := m.options.Store.Histories(ctx, slices.SortedFunc(maps.Keys(users), settings.Service.Compare))
	if err != nil {
		m.options.Log.Error("histories cannot be read; starting without them", "error", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.services {
		if users[s] == nil {
			delete(m.services, s)
			m.due.set(s, time.Time{})
		}
	}
	now := time.Now()
	for s, by := range users {
		w := m.services[s]
		if w == nil {
			w = &watched{history: known[s]}
			m.services[s] = w
			m.due.set(s, now)
		}
		w.users = by
		if latest := now.Add(d.Interval); w.tries > 0 {
			m.due.set(s, now)
		} else if m.due.due(s).After(latest) {
			m.due.set(s, latest)
		}
	}
	for name := range m.providers {
		if providers[name] == nil {
			gone = append(gone, name)
		}
	}
	m.declared, m.providers = d, providers
	return gone
}

// start begins the probes that are due, as many as may run.
func (m *Monitor) start(ctx context.Context) {
	now := time.Now()
	for len(m.probing) < m.options.AtOnce {
		s, due, ok := m.due.first()
		if !ok || due.After(now) {
			return
		}
		m.due.set(s, time.Time{}) // until the result is there
		if m.probing[s] {
			continue // it was retired and declared again meanwhile; the result will do
		}
		m.probing[s] = true
		go func() { m.results <- m.look(ctx, s) }()
	}
}

// next returns when something is to be done: a probe becomes due, or time alone
// changes what is published.
func (m *Monitor) next() time.Time {
	next := time.Now().Add(time.Hour)
	if _, due, ok := m.due.first(); ok && len(m.probing) < m.options.AtOnce && due.Before(next) {
		next = due
	}
	if _, due, ok := m.changes.first(); ok && due.Before(next) {
		next = due
	}
	return next
}

// timePassed asks again for those whose answer time alone has changed.
func (m *Monitor) timePassed(now time.Time) {
	for {
		name, due, ok := m.changes.first()
		if !ok || due.After(now) {
			return
		}
		m.changes.set(name, time.Time{})
		m.verify(m.providers[name])
	}
}

// saw takes in what a probe saw.
func (m *Monitor) saw(ctx context.Context, o settings.Observation) {
	w := m.services[o.Service]
	if w == nil || ctx.Err() != nil {
		return // no longer declared; or cut short by our own end, which says nothing of the service
	}
	before := w.history
	history, err := m.options.Store.Save(ctx, o)
	if err != nil {
		m.options.Log.Error("an observation was not kept", "service", o.Service.String(), "error", err)
		history = before.Add(o)
	}
	verdict := o.Verdict()
	m.mu.Lock()
	w.history = history
	m.mu.Unlock()
	w.tries++
	if verdict.Verified {
		w.tries = 0
	}
	m.count(o.Service, verdict)
	m.report(o.Service, before, verdict)
	m.due.set(o.Service, time.Now().Add(delay(w, m.declared.Interval)))
	for _, p := range w.users {
		m.verify(p)
		if !verdict.Verified {
			m.hurryStandIns(p, o.Service)
		}
	}
}

// hurryStandIns looks at the other services of a role soon when a published one has
// failed: it can step back only behind what has been seen to work since.
func (m *Monitor) hurryStandIns(p *published, failed settings.Service) {
	since := m.services[failed].history.Failed.First
	answers := p.result.Verified.Services(failed.Role())
	if since.IsZero() || !slices.ContainsFunc(answers, func(a settings.Published) bool { return a.Service == failed }) {
		return
	}
	soon := time.Now().Add(soonest(m.declared.Interval))
	for _, a := range answers {
		w := m.services[a.Service]
		if a.Service != failed && !w.history.Newest.At.After(since) && m.due.due(a.Service).After(soon) {
			m.due.set(a.Service, soon)
		}
	}
}

// verify asks what may be published now, and hands it on if that is new.
func (m *Monitor) verify(p *published) {
	histories := map[settings.Service]settings.Views{}
	for _, s := range p.provider.Candidates() {
		histories[s] = settings.Views{m.services[s].history}
	}
	result := settings.Verify(p.provider, histories, time.Now(), m.declared.Policy)
	same := p.told && result.Verified.Equal(p.result.Verified) && sameReasons(result.Withheld, p.result.Withheld)
	m.mu.Lock()
	p.result = result
	m.mu.Unlock()
	m.changes.set(p.provider.Name, result.NextChange)
	if !same {
		p.told = true
		m.options.Changed(p.provider, result)
	}
}

func sameReasons(a, b []settings.Withheld) bool {
	return slices.EqualFunc(a, b, func(a, b settings.Withheld) bool {
		return a.Service == b.Service && a.Why == b.Why && a.Closed == b.Closed && (a.Failure == nil) == (b.Failure == nil) &&
			(a.Failure == nil || a.Failure.Kind == b.Failure.Kind)
	})
}
