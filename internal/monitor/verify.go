package monitor

import (
	"maps"
	"slices"
	"time"

	"mailconfd/settings"
)

// verify asks what may be published now, and hands it on if that is new.
func (m *Monitor) verify(p *published) {
	histories := map[settings.Service]settings.Views{}
	for _, s := range p.provider.Candidates() {
		histories[s] = m.declared.Views(m.services[s].entries())
	}
	result := settings.Verify(p.provider, histories, time.Now(), m.declared.Policy, m.options.Logins(p.provider.Name)...)
	same := p.told && result.Verified.Equal(p.result.Verified) && sameReasons(result.Withheld, p.result.Withheld) &&
		sameDisagreements(result.Disagree, p.result.Disagree)
	m.mu.Lock()
	p.result = result
	m.mu.Unlock()
	m.changes.Set(p.provider.Name, result.NextChange)
	if !same {
		p.told = true
		m.options.Changed(p.provider, result)
	}
}

// entries returns what the vantages see.
func (w *watched) entries() []Entry { return slices.AppendSeq([]Entry{w.own}, maps.Values(w.others)) }

// Views returns what the vantages see of one service. One that has not looked for a long
// time, while another has, was given up or is cut off, and has no voice.
func (d Declared) Views(entries []Entry) settings.Views {
	var newest time.Time
	for _, e := range entries {
		if at := e.History.Newest.At; at.After(newest) {
			newest = at
		}
	}
	long := max(d.Policy.MaxAge, 2*d.Interval)
	var views settings.Views
	for _, e := range entries {
		if at := e.History.Newest.At; !at.IsZero() && !at.Before(newest.Add(-long)) {
			views = append(views, e.History)
		}
	}
	return views
}

func sameReasons(a, b []settings.Withheld) bool {
	return slices.EqualFunc(a, b, func(a, b settings.Withheld) bool {
		return a.Service == b.Service && a.Why == b.Why && a.Closed == b.Closed && (a.Failure == nil) == (b.Failure == nil) &&
			(a.Failure == nil || a.Failure.Kind == b.Failure.Kind)
	})
}

func sameDisagreements(a, b []settings.Disagreement) bool {
	return slices.EqualFunc(a, b, func(a, b settings.Disagreement) bool {
		return a.Service == b.Service && slices.Equal(a.Works, b.Works) && len(a.Fails) == len(b.Fails)
	})
}
