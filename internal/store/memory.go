// Package store keeps the histories of services. There is one home so far, the
// memory of the process; what it must do is declared by internal/monitor.
package store

import (
	"context"
	"sync"

	"mailconfd/settings"
)

// Memory keeps histories for as long as the process lives. The zero Memory is
// empty and ready; it is safe for concurrent use.
type Memory struct {
	mu        sync.Mutex
	histories map[settings.Service]settings.History
}

// Save adds an observation and returns the history that it makes. It never fails.
func (m *Memory) Save(_ context.Context, o settings.Observation) (settings.History, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.histories == nil {
		m.histories = map[settings.Service]settings.History{}
	}
	h := m.histories[o.Service].Add(o)
	m.histories[o.Service] = h
	return h, nil
}

// Histories returns what is known of the services. A service that was never seen
// is left out. It never fails.
func (m *Memory) Histories(_ context.Context, services []settings.Service) (map[settings.Service]settings.History, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := make(map[settings.Service]settings.History, len(services))
	for _, s := range services {
		if h, ok := m.histories[s]; ok {
			known[s] = h
		}
	}
	return known, nil
}
