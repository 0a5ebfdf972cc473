package monitor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// Times of the store.
const (
	beat     = time.Second         // between two calls: how soon others' observations are seen, and due probes begin
	retry    = 5 * time.Second     // between two calls while it is down
	callTime = 30 * time.Second    // for one call, after which the store is down; it may have to read everything
	saveTime = 10 * time.Second    // for one observation
	lease    = 2 * time.Minute     // of a claim; longer than probeTime, dropTime and saveTime together
	tidyTime = time.Hour           // between two rounds of tidying up
	keepTime = 90 * 24 * time.Hour // how long changes are kept
	keepMost = 100                 // how many changes of a service and vantage are kept
)

// errand is what is to be said to the store. It is said by one goroutine at a time, beside
// that of Run, which never waits for the store.
type errand struct {
	calling bool      // a call is under way
	next    time.Time // when the next is due
	more    bool      // the last one may have left services that are due
	version int       // of the declaration
	known   int       // the version that the store has; 0: none for sure
	hurry   map[settings.Service]time.Time
	tidy    time.Time // when it is time to tidy up
}

// call is one errand on its way.
type call struct {
	watcher Watcher
	now     time.Time
	version int                // of services
	declare []settings.Service // nil: the store knows
	hurry   map[settings.Service]time.Time
	tidy    bool
	since   int64
	slots   int // how many claims are wanted
}

// answer is what came back.
type answer struct {
	call
	entries    []Entry
	generation int64
	claims     []Claim
	err        error
}

// callStore goes to the store if it is time.
func (m *Monitor) callStore(ctx context.Context) {
	e := &m.errand
	now := time.Now()
	slots := max(0, m.options.AtOnce-len(m.probing))
	urgent := m.State() == nil && (e.known != e.version || e.more && slots > 0)
	if e.calling || now.Before(e.next) && !urgent {
		return
	}
	c := call{
		watcher: Watcher{Vantage: m.options.Vantage, Owner: m.owner, Lease: lease, Interval: m.declared.Interval},
		now:     now, version: e.version, hurry: e.hurry, tidy: !now.Before(e.tidy), since: m.generation, slots: slots,
	}
	if e.known != e.version || c.tidy {
		c.declare = make([]settings.Service, 0, len(m.services))
		for s := range m.services {
			c.declare = append(c.declare, s)
		}
	}
	e.calling, e.hurry = true, map[settings.Service]time.Time{}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, callTime)
		defer cancel()
		m.answers <- m.call(ctx, c)
	}()
}

// call says everything to the store. What was answered before an error counts.
func (m *Monitor) call(ctx context.Context, c call) (a answer) {
	store := m.options.Store
	a = answer{call: c, generation: c.since}
	if c.declare != nil {
		if a.err = store.Declare(ctx, c.watcher, c.declare, c.now); a.err != nil {
			return a
		}
	}
	if len(c.hurry) > 0 {
		if a.err = store.Hurry(ctx, c.watcher, c.hurry); a.err != nil {
			return a
		}
	}
	if c.tidy {
		if a.err = store.Prune(ctx, c.now.Add(-keepTime), keepMost); a.err != nil {
			return a
		}
	}
	entries, generation, err := store.Since(ctx, c.since)
	if err != nil {
		a.err = err
		return a
	}
	a.entries, a.generation = entries, generation
	if c.slots > 0 {
		a.claims, a.err = store.Claim(ctx, c.watcher, c.now, c.slots)
	}
	return a
}

// answered takes in what the store said.
func (m *Monitor) answered(ctx context.Context, a answer) {
	e := &m.errand
	e.calling, e.more = false, false
	now := time.Now()
	if a.since == m.generation { // else a declaration came meanwhile, and all of it is asked for again
		m.learn(a)
	}
	m.once.Do(func() { close(m.loaded) })
	if a.err != nil {
		if ctx.Err() == nil {
			m.failed(a.err)
		}
		return
	}
	e.next = now.Add(beat)
	if a.declare != nil {
		e.known = a.version
	}
	if a.tidy {
		e.tidy = now.Add(tidyTime)
	}
	m.works()
	e.more = len(a.claims) == a.slots
	for _, c := range a.claims {
		if !m.probing[c.Service] { // else it is probed without a claim; this one runs out
			m.begin(ctx, c.Service, c)
		}
	}
}

// learn takes in what was saved, by whomever.
func (m *Monitor) learn(a answer) {
	if a.generation < m.generation {
		m.relearn()
		return
	}
	m.mu.Lock()
	m.generation = a.generation
	affected := map[*published]bool{}
	for _, e := range a.entries {
		w := m.services[e.Service]
		if w == nil || !w.learn(e) {
			continue
		}
		if e.Vantage == m.options.Vantage && !e.Due.IsZero() {
			m.plan(e.Service, e.Due)
		}
		for _, p := range w.users {
			affected[p] = true
		}
	}
	m.mu.Unlock()
	for _, p := range inOrder(affected) {
		m.verify(p)
	}
}

// learn takes in one entry, and tells whether it is news.
func (w *watched) learn(e Entry) bool {
	if e.Vantage != w.own.Vantage {
		news := e.Generation > w.others[e.Vantage].Generation
		if news {
			w.others[e.Vantage] = e
		}
		return news
	}
	if e.Generation <= w.own.Generation {
		return false
	}
	if w.unsaved && w.own.History.Newest.At.After(e.History.Newest.At) {
		w.own.Generation = e.Generation // we know better, and will save it
		return false
	}
	w.own, w.unsaved = e, false
	return true
}

// inOrder returns providers by name.
func inOrder(set map[*published]bool) []*published {
	all := make([]*published, 0, len(set))
	for p := range set {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *published) int { return strings.Compare(a.provider.Name, b.provider.Name) })
	return all
}

// relearn is for a store that knows less than it did: it was replaced by a backup, or by
// a new one. What we know it gets with the next saves.
func (m *Monitor) relearn() {
	m.options.Log.Warn("the state has been set back; what is known here stays in force")
	m.mu.Lock()
	defer m.mu.Unlock()
	m.generation = 0
	for _, w := range m.services {
		w.own.Generation, w.unsaved = 0, true
		for vantage, e := range w.others {
			e.Generation = 0
			w.others[vantage] = e
		}
	}
	m.errand.version++
}

// failed notes that the store cannot be used. Probing goes on without it.
func (m *Monitor) failed(err error) {
	m.errors.Inc()
	if m.down.Swap(&err) == nil {
		m.options.Log.Error("the state cannot be used: what is seen is kept in memory until it can, and is lost if mailconfd ends before", "error", err)
	}
	m.errand.known, m.errand.next = 0, time.Now().Add(retry)
}

// works notes that the store can be used.
func (m *Monitor) works() {
	if m.down.Swap(nil) != nil {
		m.options.Log.Info("the state can be used again")
	}
}

// release gives a claim back when we end.
func (m *Monitor) release(ctx context.Context, c Claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTime/2)
	defer cancel()
	if err := m.options.Store.Release(ctx, c); err != nil && !errors.Is(err, ErrLost) {
		m.options.Log.Warn("a claim was not given back; it runs out by itself", "service", c.Service.String(), "error", err)
	}
}
