// Package monitor keeps looking: it probes every declared service when it is due,
// saves what was seen, and hands on what may be published for a provider whenever
// that changes, whoever has seen it. It decides nothing itself: settings.Verify does,
// and when time alone changes the answer, a timer asks it again.
//
// The schedule and what was seen are in a Store, which other processes may share. What
// it needs of that it holds in memory too, and goes on with it while the store is down.
//
// Requests never come here and never wait for a probe.
package monitor

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailconfd/internal/queue"
	"mailconfd/settings"
)

// Prober makes one round of probes of one service. It must end when ctx does.
type Prober interface {
	Probe(context.Context, settings.Service) settings.Observation
}

// Declared is what the operator has written: it can change while the monitor runs.
type Declared struct {
	Providers []settings.Provider // names are unique
	Policy    settings.Policy
	Interval  time.Duration // between two looks at a healthy service
}

// Options are what a Monitor works with. Prober, Store and Changed are needed.
type Options struct {
	Prober  Prober
	Store   Store
	Vantage string // where this process stands; "": here
	// Changed is told, one call at a time, what may be published for a provider, first
	// when its declaration is taken up and then whenever it changes.
	Changed func(settings.Provider, settings.Result)
	// Retired is told that a provider is no longer declared.
	Retired func(provider string)
	// Logins returns what logins to a provider's services came to, for settings.Verify. It
	// does not wait. Default: nobody has logged in.
	Logins  func(provider string) []settings.Login
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil: none
	AtOnce  int                   // probes at once in total; 0: 250
}

// Monitor watches the services of the declared providers. Make one with New and
// start it with Run.
type Monitor struct {
	options Options
	owner   string // of our claims
	probes  *prometheus.CounterVec
	errors  prometheus.Counter

	declare chan declaration
	results chan result
	answers chan answer
	ready   atomic.Bool
	down    atomic.Pointer[error] // why the store cannot be used; nil: it can
	loaded  chan struct{}         // closed by once when the store has answered, or failed
	once    sync.Once
	again   again

	// What follows is changed by the goroutine of Run alone, and under mu; that goroutine
	// reads it without.
	mu         sync.RWMutex
	declared   Declared
	services   map[settings.Service]*watched
	providers  map[string]*published
	generation int64 // of the store, up to which everything is known

	// What follows belongs to the goroutine of Run.
	due     queue.Queue[settings.Service] // as far as known here; obeyed while the store is down
	changes queue.Queue[string]           // providers, by when time alone changes what is published
	probing map[settings.Service]bool
	errand  errand
}

type declaration struct {
	Declared
	taken chan<- struct{}
}

// watched is a declared service.
type watched struct {
	own     Entry            // as our vantage sees it
	unsaved bool             // own holds what the store does not have
	others  map[string]Entry // as others see it, by vantage
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
	if o.Vantage == "" {
		o.Vantage = "here"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Retired == nil {
		o.Retired = func(string) {}
	}
	if o.Logins == nil {
		o.Logins = func(string) []settings.Login { return nil }
	}
	m := &Monitor{
		options:   o,
		owner:     rand.Text(),
		declare:   make(chan declaration),
		results:   make(chan result),
		answers:   make(chan answer),
		loaded:    make(chan struct{}),
		again:     again{wake: make(chan struct{}, 1)},
		services:  map[settings.Service]*watched{},
		providers: map[string]*published{},
		probing:   map[settings.Service]bool{},
		errand:    errand{hurry: map[settings.Service]time.Time{}},
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

// State returns why the store cannot be used just now, nil if it can. What is seen
// meanwhile is kept in memory, and saved when the store is back.
func (m *Monitor) State() error {
	if err := m.down.Load(); err != nil {
		return *err
	}
	return nil
}

// Loaded is closed once what the store knows is taken up, or the store could not be used.
// Who waits for it before answering lets nobody see that the process was started again.
func (m *Monitor) Loaded() <-chan struct{} { return m.loaded }

// Run watches until ctx ends. It returns when every probe has ended too.
func (m *Monitor) Run(ctx context.Context, d Declared) {
	m.errand.tidy = time.Now().Add(tidyTime)
	m.take(d)
	for {
		m.callStore(ctx)
		m.startAlone(ctx)
		timer := time.NewTimer(time.Until(m.next()))
		select {
		case <-ctx.Done():
			timer.Stop()
			m.end(ctx)
			return
		case d := <-m.declare:
			m.take(d.Declared)
			close(d.taken)
		case r := <-m.results:
			m.saw(r)
		case a := <-m.answers:
			m.answered(ctx, a)
		case <-m.again.wake:
			m.reconsider()
		case <-timer.C:
		}
		timer.Stop()
		m.timePassed(time.Now())
	}
}

// end waits for what is under way.
func (m *Monitor) end(ctx context.Context) {
	if m.errand.calling {
		for _, c := range (<-m.answers).claims {
			m.release(ctx, c)
		}
	}
	for range m.probing {
		<-m.results
	}
}

// next returns when something is to be done: the store is asked, a probe becomes due
// that the store cannot tell, or time alone changes what is published.
func (m *Monitor) next() time.Time {
	next := time.Now().Add(time.Hour)
	if !m.errand.calling {
		next = m.errand.next
	}
	if _, due, ok := m.due.First(); ok && m.State() != nil && len(m.probing) < m.options.AtOnce && due.Before(next) {
		next = due
	}
	if _, due, ok := m.changes.First(); ok && due.Before(next) {
		next = due
	}
	return next
}

// take puts a new declaration to work: services that are new are due at once,
// services that are gone are forgotten.
func (m *Monitor) take(d Declared) {
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
	gone := m.replace(d, users, providers)
	for _, name := range gone {
		m.changes.Set(name, time.Time{})
		m.options.Retired(name)
	}
	for _, p := range d.Providers {
		m.verify(providers[p.Name])
	}
}

// replace sets who is declared, plans when each service is looked at, and returns the
// providers that are gone. What the store knows of new services comes with its next answer.
func (m *Monitor) replace(d Declared, users map[settings.Service][]*published, providers map[string]*published) (gone []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.services {
		if users[s] == nil {
			delete(m.services, s)
			m.due.Set(s, time.Time{})
		}
	}
	now := time.Now()
	for s, by := range users {
		w := m.services[s]
		if w == nil {
			w = &watched{own: Entry{Service: s, Vantage: m.options.Vantage}, others: map[string]Entry{}}
			m.services[s] = w
			m.plan(s, now)
		}
		w.users = by
		if w.own.Tries > 0 {
			m.hurry(s, now)
		} else if latest := now.Add(d.Interval); m.due.Due(s).After(latest) {
			m.due.Set(s, latest)
		}
	}
	for name := range m.providers {
		if providers[name] == nil {
			gone = append(gone, name)
		}
	}
	m.declared, m.providers = d, providers
	m.errand.version++
	m.generation = 0
	return gone
}

// plan notes when a service is due. One that is being probed is in no queue.
func (m *Monitor) plan(s settings.Service, due time.Time) {
	if !m.probing[s] {
		m.due.Set(s, due)
	}
}

// hurry brings a probe forward, here and in the store.
func (m *Monitor) hurry(s settings.Service, due time.Time) {
	m.errand.hurry[s] = due
	if m.due.Due(s).After(due) {
		m.due.Set(s, due)
	}
}

// timePassed asks again for those whose answer time alone has changed.
func (m *Monitor) timePassed(now time.Time) {
	for {
		name, due, ok := m.changes.First()
		if !ok || due.After(now) {
			return
		}
		m.changes.Set(name, time.Time{})
		m.verify(m.providers[name])
	}
}

// hurryStandIns looks at the other services of a role soon when a published one has
// failed: it can step back only behind what has been seen to work since.
func (m *Monitor) hurryStandIns(p *published, failed settings.Service) {
	since := m.services[failed].own.History.Failed.First
	answers := p.result.Verified.Services(failed.Role())
	if since.IsZero() || !slices.ContainsFunc(answers, func(a settings.Published) bool { return a.Service == failed }) {
		return
	}
	soon := time.Now().Add(soonest(m.declared.Interval))
	for _, a := range answers {
		w := m.services[a.Service]
		if a.Service != failed && !w.own.History.Newest.At.After(since) && m.due.Due(a.Service).After(soon) {
			m.hurry(a.Service, soon)
		}
	}
}
