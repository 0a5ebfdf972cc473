package monitor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"mailconfd/settings"
)

// A probe is stopped after probeTime, and given up if it has not ended dropTime later:
// that would be our own mistake, and says nothing about the service.
const (
	probeTime = 3 * time.Minute
	dropTime  = 10 * time.Second
)

// look makes one probe that is sure to end.
func (m *Monitor) look(ctx context.Context, s settings.Service) settings.Observation {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	ended := make(chan settings.Observation, 1)
	go func() {
		defer func() {
			if broken := recover(); broken != nil {
				m.options.Log.Error("a probe panicked; please report it", "service", s.String(), "panic", fmt.Sprint(broken))
				ended <- ownMistake(s, "the probe broke down")
			}
		}()
		ended <- m.options.Prober.Probe(ctx, s)
	}()
	select {
	case o := <-ended:
		return o
	case <-ctx.Done():
	}
	select {
	case o := <-ended:
		return o
	case <-time.After(dropTime):
		m.options.Log.Error("a probe did not end; please report it", "service", s.String())
		return ownMistake(s, "the probe did not end")
	}
}

func ownMistake(s settings.Service, detail string) settings.Observation {
	return settings.Observation{Service: s, At: time.Now(), Failure: &settings.Failure{Kind: settings.FailureLocal, Detail: detail}}
}

// looks are the pauses after failures in a row: seconds, then minutes. Together they
// last longer than the default withdraw_after_time, so that it is not overrun by a
// whole interval.
var looks = [...]time.Duration{
	5 * time.Second, 15 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 4 * time.Minute, 4 * time.Minute,
}

// delay returns when a service is looked at again. A healthy one: after the interval.
// One that fails: after seconds, then minutes, never later than after the interval. A
// first unsafe failure is confirmed at once. A tenth is left to chance, so that many
// do not come at once.
func delay(w *watched, interval time.Duration) time.Duration {
	d := interval
	switch {
	case w.tries > 0 && w.history.Unsafe.Count == 1:
		return soonest(interval)
	case w.tries > 0 && w.tries <= len(looks):
		d = min(interval, looks[w.tries-1])
	}
	return d - time.Duration(rand.Int64N(int64(d)/10+1))
}

// soonest is how soon a second look comes.
func soonest(interval time.Duration) time.Duration { return min(interval, looks[0]) }

// report logs a probe whose outcome differs from the one before, and each warning when
// it first appears.
func (m *Monitor) report(s settings.Service, before settings.History, v settings.Verdict) {
	log := m.options.Log
	first := before.Newest.At.IsZero()
	was := settings.Verdict{}
	if !first {
		was = before.Newest.Verdict()
	}
	switch {
	case v.Verified && (first || !was.Verified):
		log.Info("service works", "service", s.String())
	case !v.Verified && (first || was.Verified || was.Failure.Kind != v.Failure.Kind):
		log.Warn("service does not work", "service", s.String(), "kind", string(v.Failure.Kind), "detail", v.Failure.Detail, "remedy", v.Failure.Kind.Text().Remedy)
	}
	for _, w := range v.Warnings {
		if !slices.ContainsFunc(was.Warnings, func(o settings.Warning) bool { return o.Kind == w.Kind }) {
			log.Warn("service has a flaw", "service", s.String(), "kind", string(w.Kind), "detail", w.Detail, "remedy", w.Kind.Text().Remedy)
		}
	}
}
