package login

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"mailconfd/settings"
)

// Store keeps what logins came to, by the account's address, so that a restart does not
// log in again, and so that replicas share one pace. It never sees a password. Each error
// means that no login is made.
type Store interface {
	// Logins returns the newest login of each service with the account.
	Logins(ctx context.Context, account string) ([]settings.Login, error)
	// ClaimLogin tells whether this process may log in to the service now: nobody has
	// claimed it after since. It is one step, whoever else asks at the same time, and is
	// recorded as a claim made now.
	ClaimLogin(ctx context.Context, account string, s settings.Service, now, since time.Time) (bool, error)
	// SaveLogin replaces what is known of the login's service.
	SaveLogin(ctx context.Context, account string, l settings.Login) error
}

// Memory is a Store for one process. The zero Memory is empty and ready; it is safe for
// concurrent use and never fails.
type Memory struct {
	mu     sync.Mutex
	logins map[target]settings.Login
	claims map[target]time.Time
}

// target is a service as one account sees it.
type target struct {
	account string
	service settings.Service
}

// Logins returns what was saved, by service.
func (m *Memory) Logins(_ context.Context, account string) ([]settings.Login, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []settings.Login
	for t, l := range m.logins {
		if t.account == account {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b settings.Login) int { return a.Service.Compare(b.Service) })
	return all, nil
}

// ClaimLogin claims a login.
func (m *Memory) ClaimLogin(_ context.Context, account string, s settings.Service, now, since time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := target{account, s}
	if claimed, known := m.claims[t]; known && claimed.After(since) {
		return false, nil
	}
	if m.claims == nil {
		m.claims = map[target]time.Time{}
	}
	m.claims[t] = now
	return true, nil
}

// SaveLogin saves a login.
func (m *Memory) SaveLogin(_ context.Context, account string, l settings.Login) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.logins == nil {
		m.logins = map[target]settings.Login{}
	}
	m.logins[target{account, l.Service}] = l
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
