package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailconfd/config"
	"mailconfd/internal/drift"
	"mailconfd/internal/overview"
	"mailconfd/internal/publish"
	"mailconfd/settings"
	"mailconfd/srvrecords"
)

// undeclaredTTL is the most that is taken for right where nobody has said what it should be.
const undeclaredTTL = 7 * 24 * time.Hour

// dnsCheck compares the records that DNS has with those that the services call for which
// may be published now, grace included. The self-check says when, and of which domains.
// A nil one does nothing.
type dnsCheck struct {
	ask     func(context.Context, drift.Want) (drift.Seen, error)
	results *results
	host    string // canonical_host
	book    *addressBook
	expect  func(zone, domain string, wanted publish.Records) publish.Records // what serve has published, with what stays in grace
	log     *slog.Logger
	gauge   *prometheus.GaugeVec
	now     func() time.Time
	told    map[sample]string // what was last logged

	mu    sync.Mutex
	cfg   config.Config
	found map[sample]dnsFound
}

// dnsFound is what was found of a domain, and when.
type dnsFound struct {
	at     time.Time
	report drift.Report
}

func newDNSCheck(w world, book *addressBook, r *results, host string, log *slog.Logger, registry prometheus.Registerer) *dnsCheck {
	d := &dnsCheck{
		results: r, host: host, book: book, log: log, now: time.Now, told: map[sample]string{}, found: map[sample]dnsFound{},
		ask: func(ctx context.Context, want drift.Want) (drift.Seen, error) { return drift.Look(ctx, w.asker, want) },
		gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailconfd_dns_drift", Help: "How DNS differs from what is verified, of all domains that the self-check looks at, by kind, each of which has its weight.",
		}, []string{"kind", "weight"}),
	}
	registry.MustRegister(d.gauge)
	return d
}

// take takes the zones of a configuration.
func (d *dnsCheck) take(cfg config.Config) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cfg = cfg
	samples := samplesOf(cfg)
	maps.DeleteFunc(d.found, func(at sample, _ dnsFound) bool { return !slices.Contains(samples, at) })
}

// lookAt compares one domain, once the first round of probes has decided. The error says
// that DNS could not be asked; what was found before still counts.
func (d *dnsCheck) lookAt(ctx context.Context, at sample) error {
	if d == nil {
		return nil
	}
	result, known := d.results.get(at.provider)
	if !known || !decided(result) {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, selfCheckTimeout)
	defer cancel()
	want, err := d.want(within, result, at.domain)
	var seen drift.Seen
	if err == nil {
		seen, err = d.ask(within, want)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		d.tell(at, drift.Report{}, err)
		return err
	}
	report := drift.Compare(want, seen)
	d.mu.Lock()
	if slices.Contains(samplesOf(d.cfg), at) { // else a reload has taken it out meanwhile
		d.found[at] = dnsFound{d.now(), report}
	}
	d.mu.Unlock()
	d.tell(at, report, nil)
	return nil
}

// want says what DNS should have of a domain: what serve publishes, where it does.
func (d *dnsCheck) want(ctx context.Context, result settings.Result, domain string) (drift.Want, error) {
	d.mu.Lock()
	zone, declared := d.cfg.ZoneOf(domain)
	d.mu.Unlock()
	sets := zoneSets{options: srvrecords.Options{ConfigHost: d.host, TTL: undeclaredTTL}}
	var err error
	if declared {
		sets, err = setsOf(ctx, zone, d.host, d.book)
	}
	if err != nil {
		return drift.Want{}, err
	}
	set, err := sets.of(result.Verified.Provider(), domain, func() (settings.Result, error) { return result, nil })
	if err != nil {
		return drift.Want{}, err
	}
	opt := sets.options
	if !declared {
		opt.TTL = 0 // of denials too
	}
	want := wanted(set, opt)
	want.Optional = !declared
	if declared {
		want.Records = d.expect(zone.Name, domain, want.Records)
	}
	return want, nil
}

// tell logs the faults of a domain when they are others than last time.
func (d *dnsCheck) tell(at sample, report drift.Report, err error) {
	log := d.log.With("provider", at.provider, "domain", at.domain)
	faults := slices.DeleteFunc(slices.Clone(report.Findings), func(f drift.Finding) bool { return f.Weight != drift.Fault })
	words := make([]string, len(faults))
	for i, f := range faults {
		words[i] = fmt.Sprint(f.Kind, f.Owner, f.Type, f.Servers, f.Detail)
	}
	slices.Sort(words)
	now := strings.Join(words, "\n")
	if err != nil {
		now = err.Error()
	}
	before, known := d.told[at]
	d.told[at] = now
	switch {
	case known && before == now:
	case err != nil:
		log.Warn("DNS cannot be compared with what is verified", "error", err)
	case len(faults) == 0:
		log.Info("DNS has no drift")
	default:
		log.Warn("DNS drifts; mailconfd records --check "+at.domain+" says more", "faults", len(faults))
		for _, f := range faults[:min(len(faults), selfCheckLogged)] {
			log.Warn("DNS drift", "kind", f.Kind, "owner", f.Owner, "type", f.Type, "detail", f.Detail, "remedy", f.Remedy)
		}
	}
}

// count sets the gauge once something is known, or nothing is looked at.
func (d *dnsCheck) count(samples []sample) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.found) == 0 && len(samples) > 0 {
		return // nothing is known yet, which is not the same as none
	}
	sums := map[drift.Kind]int{}
	for _, found := range d.found {
		for kind, n := range found.report.Counts() {
			sums[kind] += n
		}
	}
	for _, kind := range drift.Kinds() {
		d.gauge.WithLabelValues(string(kind), string(kind.Weight())).Set(float64(sums[kind]))
	}
}

// of returns what is known of a provider's domain; nil: it has not been looked at.
func (d *dnsCheck) of(provider string) *overview.Drift {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for at, found := range d.found {
		if at.provider != provider {
			continue
		}
		out := &overview.Drift{Domain: at.domain, At: found.at.UTC().Truncate(time.Second), Findings: []overview.Difference{}}
		for _, f := range found.report.Findings {
			out.Findings = append(out.Findings, overview.Difference{
				Kind: string(f.Kind), Weight: string(f.Weight), Owner: f.Owner, Type: f.Type, Servers: f.Servers, Detail: f.Detail, Remedy: f.Remedy,
			})
		}
		return out
	}
	return nil
}
