package main

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailconfd/config"
	"mailconfd/doctor"
	"mailconfd/settings"
)

// How often serve examines itself.
const (
	selfCheckInterval = 6 * time.Hour    // more or less a tenth, so that many daemons do not look at once
	selfCheckSettle   = 10 * time.Second // after a change: there may be more to come
	selfCheckTimeout  = 2 * time.Minute  // for one domain
	selfCheckLogged   = 10               // faults of one domain that are logged
	selfCheckLocal    = "self-check"     // before the @ of the address that is asked for
)

// sample is the domain by which a provider is examined.
type sample struct{ provider, domain string }

// samplesOf returns the first domain of each provider that is named in full. One that has
// wildcards and MX hosts only has no name that we know to be a domain.
func samplesOf(cfg config.Config) []sample {
	var samples []sample
	if !cfg.SelfCheck {
		return nil
	}
	for d := range cfg.Domains() {
		if d.Name != "" && !slices.ContainsFunc(samples, func(s sample) bool { return s.provider == d.Provider }) {
			samples = append(samples, sample{d.Provider, d.Name})
		}
	}
	return samples
}

// selfCheck lets the doctor look from outside at what the daemon serves: names that lead
// elsewhere, a certificate that a proxy forgot to renew, another web site that answers.
// It runs beside everything else; no request and no shutdown waits for it.
type selfCheck struct {
	examine  func(context.Context, settings.Address) (doctor.Report, error)
	dns      *dnsCheck // nil: DNS is not compared
	log      *slog.Logger
	findings *prometheus.GaugeVec
	failed   *prometheus.GaugeVec // without labels: it is not there until it was set
	samples  atomic.Pointer[[]sample]
	news     chan struct{}
	told     map[sample]string                // what was last logged
	counts   map[sample]map[doctor.Weight]int // what was last found
}

func newSelfCheck(w world, log *slog.Logger, registry prometheus.Registerer) *selfCheck {
	s := &selfCheck{
		log: log, news: make(chan struct{}, 1), told: map[sample]string{}, counts: map[sample]map[doctor.Weight]int{},
		examine: func(ctx context.Context, a settings.Address) (doctor.Report, error) {
			d, err := doctor.New(doctor.Options{World: w, Proxied: w.proxied})
			if err != nil {
				return doctor.Report{}, err
			}
			report := d.Examine(ctx, a)
			return report, cannotLook(report)
		},
		findings: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailconfd_selfcheck_findings", Help: "What the self-check last found, of all domains that it looks at, by weight: fault, warning, note.",
		}, []string{"weight"}),
		failed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailconfd_selfcheck_failed", Help: "Domains that the last self-check could not look at.",
		}, nil),
	}
	registry.MustRegister(s.findings, s.failed)
	s.samples.Store(new([]sample))
	return s
}

// take takes the domains of a configuration.
func (s *selfCheck) take(cfg config.Config) {
	samples := samplesOf(cfg)
	s.samples.Store(&samples)
	s.dns.take(cfg)
	s.poke()
}

// poke says that what is served has changed. It never waits.
func (s *selfCheck) poke() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// run looks after changes and once in a while, until ctx ends.
func (s *selfCheck) run(ctx context.Context) {
	next := time.NewTimer(selfCheckInterval)
	defer next.Stop()
	for soon := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-s.news:
			if !soon {
				soon = true
				next.Reset(selfCheckSettle)
			}
		case <-next.C:
			soon = false
			s.look(ctx)
			next.Reset(selfCheckInterval*9/10 + rand.N(selfCheckInterval/5))
		}
	}
}

// look examines every sample, one after the other. For one that it cannot look at, what
// was found before still counts.
func (s *selfCheck) look(ctx context.Context) {
	samples := *s.samples.Load()
	failed := 0
	for _, at := range samples {
		report, err := s.lookAt(ctx, at)
		if ctx.Err() != nil {
			return
		}
		s.tell(at, report, err)
		dns := s.dns.lookAt(ctx, at)
		if ctx.Err() != nil {
			return
		}
		if err != nil || dns != nil {
			failed++
		}
		if err != nil {
			continue
		}
		s.counts[at] = map[doctor.Weight]int{}
		for _, f := range report.Findings {
			s.counts[at][f.Weight]++
		}
	}
	maps.DeleteFunc(s.counts, func(at sample, _ map[doctor.Weight]int) bool { return !slices.Contains(samples, at) })
	s.failed.WithLabelValues().Set(float64(failed))
	s.dns.count(samples)
	if len(s.counts) == 0 && failed > 0 {
		return // nothing is known yet, which is not the same as none
	}
	for _, w := range []doctor.Weight{doctor.Fault, doctor.Warning, doctor.Note} {
		sum := 0
		for _, counts := range s.counts {
			sum += counts[w]
		}
		s.findings.WithLabelValues(string(w)).Set(float64(sum))
	}
}

// lookAt examines one sample. The error is about us, or that there was not the time.
func (s *selfCheck) lookAt(ctx context.Context, at sample) (doctor.Report, error) {
	within, cancel := context.WithTimeout(ctx, selfCheckTimeout)
	defer cancel()
	report, err := s.examine(within, settings.Address{Local: selfCheckLocal, Domain: at.domain})
	if err == nil {
		err = within.Err() // the report is not whole
	}
	return report, err
}

// tell logs the faults of a domain when they are others than last time.
func (s *selfCheck) tell(at sample, report doctor.Report, err error) {
	log := s.log.With("provider", at.provider, "domain", at.domain)
	var faults []doctor.Finding
	var words []string
	for _, f := range report.Findings {
		if f.Weight == doctor.Fault {
			faults = append(faults, f)
			words = append(words, string(f.Kind)+" "+f.Detail)
		}
	}
	slices.Sort(words)
	now := strings.Join(words, "\n")
	if err != nil {
		now = err.Error()
	}
	before, known := s.told[at]
	s.told[at] = now
	switch {
	case known && before == now:
	case err != nil:
		log.Warn("the self-check cannot look", "error", err)
	case len(faults) == 0:
		log.Info("the self-check finds no fault")
	default:
		log.Warn("the self-check finds faults; mailconfd doctor "+at.domain+" says more", "faults", len(faults))
		for _, f := range faults[:min(len(faults), selfCheckLogged)] {
			log.Warn("self-check fault", "kind", f.Kind, "affected", strings.Join(f.Affected, ", "), "detail", f.Detail, "remedy", f.Remedy)
		}
	}
}
