package store

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"mailconfd/internal/monitor"
	"mailconfd/internal/queue"
	"mailconfd/settings"
)

// Memory is a store that lives as long as the process. The zero Memory is empty and
// ready. None of its methods fails but Save, with monitor.ErrLost.
type Memory struct {
	mu         sync.Mutex
	generation int64
	rows       map[key]*row
	schedules  map[string]*schedule // by vantage
	changes    map[settings.Service][]settings.Observation
	saves      []save // in order; those before the newest of a row are swept out now and then
}

type save struct {
	generation int64
	row        *row
}

type key struct {
	service settings.Service
	vantage string
}

type row struct {
	entry  monitor.Entry
	owner  string
	leased time.Time // until when; zero: by nobody
}

// schedule is what is declared for a vantage, by when it can be claimed: it is due, and
// no lease is on it.
type schedule struct {
	free   queue.Queue[settings.Service]
	newest time.Time // the latest time that claims were made at
}

// row returns the row of a service, made if need be. The caller holds mu.
func (m *Memory) row(s settings.Service, vantage string) *row {
	if m.rows == nil {
		m.rows = map[key]*row{}
		m.changes = map[settings.Service][]settings.Observation{}
	}
	k := key{s, vantage}
	if m.rows[k] == nil {
		m.rows[k] = &row{entry: monitor.Entry{Service: s, Vantage: vantage}}
	}
	return m.rows[k]
}

func (m *Memory) schedule(vantage string) *schedule {
	if m.schedules == nil {
		m.schedules = map[string]*schedule{}
	}
	if m.schedules[vantage] == nil {
		m.schedules[vantage] = &schedule{}
	}
	return m.schedules[vantage]
}

// plan puts a row where its due time and lease say.
func (m *Memory) plan(r *row) {
	free := r.entry.Due
	if !free.IsZero() && r.leased.After(free) {
		free = r.leased
	}
	m.schedule(r.entry.Vantage).free.Set(r.entry.Service, free)
}

// Declare is monitor.Store's.
func (m *Memory) Declare(_ context.Context, w monitor.Watcher, services []settings.Service, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	declared := map[settings.Service]bool{}
	for _, s := range services {
		declared[s] = true
		r := m.row(s, w.Vantage)
		latest := now.Add(w.Interval)
		switch {
		case r.entry.Due.IsZero():
			r.entry.Due = now
		case r.entry.Due.After(latest):
			r.entry.Due = latest
		}
		m.plan(r)
	}
	for k, r := range m.rows {
		if k.vantage == w.Vantage && !declared[k.service] {
			r.entry.Due = time.Time{}
			m.plan(r)
		}
	}
	return nil
}

// Hurry is monitor.Store's.
func (m *Memory) Hurry(_ context.Context, w monitor.Watcher, due map[settings.Service]time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s, at := range due {
		if r := m.rows[key{s, w.Vantage}]; r != nil && r.entry.Due.After(at) {
			r.entry.Due = at
			m.plan(r)
		}
	}
	return nil
}

// Claim is monitor.Store's.
func (m *Memory) Claim(_ context.Context, w monitor.Watcher, now time.Time, n int) ([]monitor.Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	plan := m.schedule(w.Vantage)
	if now.Before(plan.newest) {
		m.distrust(w, now)
	}
	plan.newest = now
	var claims []monitor.Claim
	for len(claims) < n {
		s, free, ok := plan.free.First()
		if !ok || free.After(now) {
			break
		}
		r := m.row(s, w.Vantage)
		r.owner, r.leased = w.Owner, now.Add(w.Lease)
		m.plan(r)
		claims = append(claims, monitor.Claim{Entry: r.entry, Owner: r.owner, Until: r.leased})
	}
	return claims, nil
}

// distrust corrects what was written while the clock was wrong.
func (m *Memory) distrust(w monitor.Watcher, now time.Time) {
	for k, r := range m.rows {
		if k.vantage != w.Vantage {
			continue
		}
		if r.entry.Due.After(now.Add(w.Interval)) {
			r.entry.Due = now
		}
		if r.leased.After(now.Add(2 * w.Lease)) {
			r.leased = time.Time{}
		}
		m.plan(r)
	}
}

// held returns the row of a claim that is in force, or nil.
func (m *Memory) held(c monitor.Claim) *row {
	r := m.rows[key{c.Service, c.Vantage}]
	if r == nil || c.Owner == "" || r.owner != c.Owner || !r.leased.Equal(c.Until) {
		return nil
	}
	return r
}

// Save is monitor.Store's.
func (m *Memory) Save(_ context.Context, c monitor.Claim, e monitor.Entry) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.held(c)
	if r == nil {
		return 0, monitor.ErrLost
	}
	m.generation++
	retired := r.entry.Due.IsZero()
	r.entry = monitor.Entry{
		Service: c.Service, Vantage: c.Vantage, History: e.History, Tries: e.Tries, Due: e.Due, Generation: m.generation,
	}
	if retired {
		r.entry.Due = time.Time{}
	}
	r.owner, r.leased = "", time.Time{}
	m.plan(r)
	m.note(r)
	if !monitor.SameOutcome(c.History.Newest, e.History.Newest) {
		m.changes[c.Service] = append(m.changes[c.Service], e.History.Newest)
	}
	return m.generation, nil
}

// note remembers that a row was saved.
func (m *Memory) note(r *row) {
	m.saves = append(m.saves, save{m.generation, r})
	if len(m.saves) > 2*len(m.rows) {
		m.saves = slices.DeleteFunc(m.saves, func(s save) bool { return s.generation != s.row.entry.Generation })
	}
}

// Release is monitor.Store's.
func (m *Memory) Release(_ context.Context, c monitor.Claim) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.held(c); r != nil {
		r.owner, r.leased = "", time.Time{}
		m.plan(r)
	}
	return nil
}

// Since is monitor.Store's.
func (m *Memory) Since(_ context.Context, generation int64) ([]monitor.Entry, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var entries []monitor.Entry
	first, _ := slices.BinarySearchFunc(m.saves, generation+1, func(s save, g int64) int { return cmp.Compare(s.generation, g) })
	for _, s := range m.saves[first:] {
		if s.generation == s.row.entry.Generation && m.rows[key{s.row.entry.Service, s.row.entry.Vantage}] == s.row {
			entries = append(entries, s.row.entry)
		}
	}
	return entries, m.generation, nil
}

// Changes is monitor.Store's.
func (m *Memory) Changes(_ context.Context, s settings.Service, n int) ([]settings.Observation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	changes := slices.Clone(m.changes[s])
	slices.Reverse(changes)
	return changes[:min(n, len(changes))], nil
}

// Prune is monitor.Store's.
func (m *Memory) Prune(_ context.Context, before time.Time, keep int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s, changes := range m.changes {
		slices.Reverse(changes)
		kept := map[string]int{} // by vantage
		changes = slices.DeleteFunc(changes, func(o settings.Observation) bool {
			kept[o.Vantage]++
			n := kept[o.Vantage]
			return n > max(keep, 1) || n > 1 && o.At.Before(before)
		})
		slices.Reverse(changes)
		m.changes[s] = changes
	}
	for k, r := range m.rows {
		unseen := r.entry.Generation == 0 && r.entry.Due.IsZero()
		if unseen || r.entry.Generation > 0 && r.entry.History.Newest.At.Before(before) {
			m.schedule(k.vantage).free.Set(k.service, time.Time{})
			delete(m.rows, k)
		}
	}
	return nil
}

// Close is monitor.Store's. There is nothing to end.
func (m *Memory) Close() error { return nil }
