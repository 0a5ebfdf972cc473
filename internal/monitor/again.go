package monitor

import (
	"slices"
	"sync"
)

// again holds the providers about which somebody has learnt something beside us.
type again struct {
	wake chan struct{}

	mu        sync.Mutex
	providers []string
}

// Reconsider asks again what may be published for a provider, since Options.Logins
// returns something new. It does not wait for it.
func (m *Monitor) Reconsider(provider string) {
	m.again.mu.Lock()
	defer m.again.mu.Unlock()
	if !slices.Contains(m.again.providers, provider) {
		m.again.providers = append(m.again.providers, provider)
	}
	select {
	case m.again.wake <- struct{}{}:
	default:
	}
}

func (m *Monitor) reconsider() {
	m.again.mu.Lock()
	providers := m.again.providers
	m.again.providers = nil
	m.again.mu.Unlock()
	for _, name := range providers {
		if p := m.providers[name]; p != nil {
			m.verify(p)
		}
	}
}
