package monitor

import (
	"github.com/prometheus/client_golang/prometheus"

	"mailconfd/settings"
)

// What probing comes to. All labels come from closed sets. docs/metrics.md has them.
var (
	servicesPublished = prometheus.NewDesc("mailconfd_services_published", "Services that are published, by role and basis.", []string{"role", "basis"}, nil)
	servicesWithheld  = prometheus.NewDesc("mailconfd_services_withheld", "Services that are declared and not published, by role and reason.", []string{"role", "reason"}, nil)
	serviceWarnings   = prometheus.NewDesc("mailconfd_service_warnings", "Services whose newest probe passed with a warning, by kind.", []string{"kind"}, nil)
	stateUp           = prometheus.NewDesc("mailconfd_state_up", "Whether the state can be used: 1, or 0 while what is seen is kept in memory only.", nil, nil)
	stateGeneration   = prometheus.NewDesc("mailconfd_state_generation", "The generation of the state that the answers come from; replicas that share a state agree within seconds.", nil, nil)
)

// register makes the metrics of a monitor.
func (m *Monitor) register(r prometheus.Registerer) {
	m.probes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailconfd_probes_total", Help: "Probes by scheme and outcome: verified, or the kind of failure.",
	}, []string{"scheme", "outcome"})
	m.errors = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mailconfd_state_errors_total", Help: "Times that the state could not be used.",
	})
	if r != nil {
		r.MustRegister(m.probes, m.errors, collector{m})
	}
}

func (m *Monitor) count(s settings.Service, v settings.Verdict) {
	outcome := verified
	if !v.Verified {
		outcome = string(v.Failure.Kind)
	}
	m.probes.WithLabelValues(string(s.Scheme), outcome).Inc()
}

// collector counts what is published when somebody asks.
type collector struct{ *Monitor }

// Describe is prometheus.Collector's.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{servicesPublished, servicesWithheld, serviceWarnings, stateUp, stateGeneration} {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	counts := map[*prometheus.Desc]map[[2]string]int{servicesPublished: {}, servicesWithheld: {}, serviceWarnings: {}}
	c.mu.RLock()
	for _, p := range c.providers {
		for _, r := range settings.Roles() {
			for _, s := range p.result.Verified.Services(r) {
				counts[servicesPublished][[2]string{string(r), string(s.Basis)}]++
			}
		}
		for _, w := range p.result.Withheld {
			counts[servicesWithheld][[2]string{string(w.Service.Role()), string(w.Why)}]++
		}
	}
	for _, w := range c.services {
		told := map[settings.WarningKind]bool{}
		for _, warning := range w.own.History.Newest.Verdict().Warnings {
			if !told[warning.Kind] {
				told[warning.Kind] = true
				counts[serviceWarnings][[2]string{string(warning.Kind)}]++
			}
		}
	}
	generation := c.generation
	c.mu.RUnlock()
	up := 1.0
	if c.State() != nil {
		up = 0
	}
	ch <- prometheus.MustNewConstMetric(stateUp, prometheus.GaugeValue, up)
	ch <- prometheus.MustNewConstMetric(stateGeneration, prometheus.GaugeValue, float64(generation))
	for desc, by := range counts {
		for labels, n := range by {
			values := labels[:]
			if desc == serviceWarnings {
				values = values[:1]
			}
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), values...)
		}
	}
}
