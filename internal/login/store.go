package login

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"mailconfd/settings"
)

// Store keeps what logins came to, by service and account, so that a restart does not log
// in again, and so that any number of processes share one pace. It never sees a password.
// An error of ClaimLogin means that no login is made.
//
// As in monitor.Store, the time is an argument and is kept to the millisecond, and what
// was returned without an error is kept.
type Store interface {
	// LoginsSince returns the newest login of each service and account that was saved after
	// a generation, and the generation up to which nothing is missing. After generation 0
	// these are all. A generation that is smaller than one returned before belongs to
	// another store, such as a backup.
	LoginsSince(ctx context.Context, generation int64) ([]settings.Login, int64, error)
	// ClaimLogin tells whether this process may log in to the service now: nobody has
	// claimed it after since. It is one step, whoever else asks at the same time, and is
	// recorded as a claim made now. A claim that lies more than an hour ahead was made
	// while a clock was wrong, and does not count.
	ClaimLogin(ctx context.Context, account string, s settings.Service, now, since time.Time) (bool, error)
	// SaveLogin replaces what is known of the login's service and account.
	SaveLogin(ctx context.Context, l settings.Login) error
}

// Memory is a Store for one process. The zero Memory is empty and ready; it is safe for
// concurrent use and never fails.
type Memory struct {
	mu         sync.Mutex
	generation int64
	logins     map[target]saved
	claims     map[target]time.Time
}

type saved struct {
	login      settings.Login
	generation int64
}

// target is a service as one account sees it.
type target struct {
	account string
	service settings.Service
}

// LoginsSince is Store's.
func (m *Memory) LoginsSince(_ context.Context, generation int64) ([]settings.Login, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []settings.Login
	for _, s := range m.logins {
		if s.generation > generation {
			all = append(all, s.login)
		}
	}
	return all, m.generation, nil
}

// ClaimLogin is Store's.
func (m *Memory) ClaimLogin(_ context.Context, account string, s settings.Service, now, since time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := target{account, s}
	if claimed, known := m.claims[t]; known && claimed.After(since) && !claimed.After(now.Add(time.Hour)) {
		return false, nil
	}
	if m.claims == nil {
		m.claims = map[target]time.Time{}
	}
	m.claims[t] = now
	return true, nil
}

// SaveLogin is Store's.
func (m *Memory) SaveLogin(_ context.Context, l settings.Login) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.logins == nil {
		m.logins = map[target]saved{}
	}
	m.generation++
	m.logins[target{l.Account, l.Service}] = saved{l, m.generation}
	return nil
}

// newest keeps the newest login of each service, by service. What could not be saved is
// so not forgotten.
func newest(known, more []settings.Login) []settings.Login {
	by := map[settings.Service]settings.Login{}
	for _, l := range slices.Concat(known, more) {
		if old, twice := by[l.Service]; !twice || !l.Tried.Before(old.Tried) {
			by[l.Service] = l
		}
	}
	return slices.SortedFunc(maps.Values(by), func(a, b settings.Login) int { return a.Service.Compare(b.Service) })
}
