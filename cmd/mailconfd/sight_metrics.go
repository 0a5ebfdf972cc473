package main

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailconfd/internal/overview"
	"mailconfd/settings"
)

// The gauges of what was seen. No label names a service or a host: there can be tens of
// thousands. docs/metrics.md has them.
var (
	newestAge = prometheus.NewDesc("mailconfd_newest_observation_age_seconds",
		"How long ago the newest probe from this vantage ended: it grows while nothing is probed.", nil, nil)
	oldestAge = prometheus.NewDesc("mailconfd_oldest_observation_age_seconds",
		"How long ago the newest probe of that service ended which was looked at longest ago, from this vantage.", []string{"role"}, nil)
	certificateExpiry = prometheus.NewDesc("mailconfd_certificate_expiry_seconds",
		"How long the certificate lasts that runs out first, of those seen at services of the role; negative when it has.", []string{"role"}, nil)
	certificatesExpiring = prometheus.NewDesc("mailconfd_certificates_expiring",
		"Certificates seen that run out within so many days.", []string{"days"}, nil)
)

// Describe is prometheus.Collector's.
func (s *sight) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{newestAge, oldestAge, certificateExpiry, certificatesExpiring} {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (s *sight) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	now := s.Now()
	newest, oldest := s.ages()
	if !newest.IsZero() {
		gauge(newestAge, max(now.Sub(newest), 0).Seconds())
	}
	for role, at := range oldest {
		gauge(oldestAge, max(now.Sub(at), 0).Seconds(), string(role))
	}
	first := map[settings.Role]time.Time{}
	expiring := map[int]int{}
	for _, c := range overview.Certificates(s.seen(), now) { // those that run out first come first
		for _, service := range c.Services {
			if _, told := first[service.Role()]; !told {
				first[service.Role()] = c.NotAfter
			}
		}
		for _, days := range overview.Stages() {
			if c.Stage > 0 && c.Stage <= days {
				expiring[days]++
			}
		}
	}
	for role, at := range first {
		gauge(certificateExpiry, at.Sub(now).Seconds(), string(role))
	}
	for _, days := range overview.Stages() {
		gauge(certificatesExpiring, float64(expiring[days]), strconv.Itoa(days))
	}
}

// seen is Known without what nobody here asks for.
func (s *sight) seen() iter.Seq[overview.Known] {
	return func(yield func(overview.Known) bool) {
		for k := range s.daemon.monitor.Known() {
			if !yield(overview.Known{Provider: k.Provider, Views: k.Views}) {
				return
			}
		}
	}
}

// ages returns when the newest probe from our vantage ended, and for each role when the
// newest one of that service which was looked at longest ago.
func (s *sight) ages() (newest time.Time, oldest map[settings.Role]time.Time) {
	oldest = map[settings.Role]time.Time{}
	for k := range s.daemon.monitor.Known() {
		for service, views := range k.Views {
			i := slices.IndexFunc(views, func(h settings.History) bool { return h.Newest.Vantage == s.Vantage })
			if i < 0 {
				continue
			}
			at, role := views[i].Newest.At, service.Role()
			if at.After(newest) {
				newest = at
			}
			if was, known := oldest[role]; !known || at.Before(was) {
				oldest[role] = at
			}
		}
	}
	return newest, oldest
}

// How often certificates are looked at: the first time soon, when the first probes are over.
const (
	firstExpiryLook = 30 * time.Second
	expiryLook      = 10 * time.Minute
)

// watchCertificates logs when a certificate begins to run out, until ctx ends.
func (s *sight) watchCertificates(ctx context.Context) {
	timer := time.NewTimer(firstExpiryLook)
	defer timer.Stop()
	told := expiries{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			now := s.Now()
			for _, c := range told.news(overview.Certificates(s.seen(), now), now) {
				var at []string
				for _, service := range c.Services {
					at = append(at, service.String())
				}
				s.daemon.log.Warn("a certificate runs out: renew it, and reload the mail server", "within_days", c.Stage,
					"not_after", c.NotAfter.Format(time.RFC3339), "services", strings.Join(at[:min(len(at), 10)], " "), "count", len(at))
			}
			timer.Reset(expiryLook)
		}
	}
}

// expiries are the certificates of which the log has been told, with the stage that they
// had reached.
type expiries map[expiry]int

type expiry struct {
	key   string
	until time.Time
}

// news returns the certificates that have reached a new stage: each is told once a stage.
// One that was not seen for a while is not forgotten before it has run out.
func (told expiries) news(all []overview.Certificate, now time.Time) []overview.Certificate {
	for e := range told {
		if now.After(e.until.Add(24 * time.Hour)) {
			delete(told, e)
		}
	}
	var news []overview.Certificate
	for _, c := range all {
		e := expiry{c.Key, c.NotAfter}
		if c.Stage > 0 && told[e] != c.Stage && now.Before(c.NotAfter.Add(24*time.Hour)) {
			told[e] = c.Stage
			news = append(news, c)
		}
	}
	return news
}
