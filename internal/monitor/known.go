package monitor

import (
	"iter"
	"maps"
	"slices"

	"mailconfd/settings"
)

// Known is what the monitor knows of one provider.
type Known struct {
	Provider settings.Provider
	Result   settings.Result // what was last handed on
	// Views are what the vantages see of each candidate, those left out that have no voice.
	Views map[settings.Service]settings.Views
}

// Known yields what is known of every provider, in the order of their names: for each as
// of one moment. It does not wait for the store or for a probe.
func (m *Monitor) Known() iter.Seq[Known] {
	return func(yield func(Known) bool) {
		m.mu.RLock()
		names := slices.Sorted(maps.Keys(m.providers))
		m.mu.RUnlock()
		for _, name := range names {
			if k, declared := m.Provider(name); declared && !yield(k) {
				return
			}
		}
	}
}

// Provider returns what is known of one provider, if it is declared.
func (m *Monitor) Provider(name string) (k Known, declared bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	p := m.providers[name]
	if p == nil || p.result.Verified.Provider().Name == "" { // declared a moment ago
		return k, false
	}
	k = Known{Provider: p.provider, Result: p.result, Views: map[settings.Service]settings.Views{}}
	for _, s := range p.provider.Candidates() {
		if w := m.services[s]; w != nil {
			k.Views[s] = m.declared.Views(w.entries())
		}
	}
	return k, true
}

// Generation returns the generation of the state that the answers come from; replicas that
// share a state agree on it within seconds.
func (m *Monitor) Generation() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.generation
}
