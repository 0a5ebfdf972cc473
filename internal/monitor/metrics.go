package monitor

import (
	"github.com/prometheus/client_golang/prometheus"

	"mailconfd/settings"
)

// metrics tell what probing comes to. All labels come from closed sets.
type metrics struct {
	probes    *prometheus.CounterVec
	published *prometheus.GaugeVec
	withheld  *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		probes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailconfd_probes_total", Help: "Probes by scheme and outcome: verified, or the kind of failure.",
		}, []string{"scheme", "outcome"}),
		published: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailconfd_services_published", Help: "Services that are published, by role and basis.",
		}, []string{"role", "basis"}),
		withheld: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailconfd_services_withheld", Help: "Services that are declared and not published, by role and reason.",
		}, []string{"role", "reason"}),
	}
	if r != nil {
		r.MustRegister(m.probes, m.published, m.withheld)
	}
	return m
}

func (m *metrics) probed(s settings.Service, v settings.Verdict) {
	outcome := "verified"
	if !v.Verified {
		outcome = string(v.Failure.Kind)
	}
	m.probes.WithLabelValues(string(s.Scheme), outcome).Inc()
}

func (m *metrics) publishing(results []settings.Result) {
	m.published.Reset()
	m.withheld.Reset()
	for _, result := range results {
		for _, r := range settings.Roles() {
			for _, p := range result.Verified.Services(r) {
				m.published.WithLabelValues(string(r), string(p.Basis)).Inc()
			}
		}
		for _, w := range result.Withheld {
			m.withheld.WithLabelValues(string(w.Service.Role()), string(w.Why)).Inc()
		}
	}
}
