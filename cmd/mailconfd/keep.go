package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"mailconfd/config"
	"mailconfd/internal/publish"
	"mailconfd/settings"
)

// results is what may be published now, by provider. It is written by the monitor's
// goroutine and read by those of the zones.
type results struct {
	mu sync.Mutex
	of map[string]settings.Result
}

func (r *results) set(provider string, result settings.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[string]settings.Result{}
	}
	r.of[provider] = result
}

func (r *results) drop(provider string) { r.mu.Lock(); defer r.mu.Unlock(); delete(r.of, provider) }

func (r *results) get(provider string) (settings.Result, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	result, known := r.of[provider]
	return result, known
}

// checkKeys reads the keys of all zones, so that a mistake is found before it matters.
func (a *app) checkKeys(cfg config.Config) error {
	var all []error
	for _, z := range cfg.Publish {
		_, err := a.key(z)
		all = append(all, err)
	}
	return errors.Join(all...)
}

// keepZones lets the keeper keep the zones of a configuration in step.
func (d *daemon) keepZones(ctx context.Context, cfg config.Config) {
	zones := map[string]*zoneKept{}
	var tasks []publish.Task
	for _, z := range cfg.Publish {
		zones[z.Name] = &zoneKept{Zone: z, daemon: d, providers: map[string]string{}}
	}
	for domain := range cfg.Domains() {
		if z, found := cfg.ZoneOf(domain.Name); found && domain.Name != "" {
			zones[z.Name].providers[domain.Name] = domain.Provider
			zones[z.Name].domains = append(zones[z.Name].domains, domain.Name)
		}
	}
	for _, z := range cfg.Publish {
		kept := zones[z.Name]
		tasks = append(tasks, publish.Task{
			Name: z.Name, Interval: z.Interval, Brake: publish.Brake{Grace: cfg.Policy.Grace, AllowEmpty: z.AllowEmpty},
			Scope: kept.holds, Wanted: kept.wanted, Publish: kept.publish,
		})
	}
	d.keeper.Declare(ctx, tasks)
}

// zoneKept is a zone that serve keeps in step.
type zoneKept struct {
	config.Zone
	daemon    *daemon
	domains   []string          // in the order of the configuration
	providers map[string]string // by domain
}

// holds tells the owner names of the zone's domains.
func (z *zoneKept) holds(owner string) bool {
	_, found := z.providers[publish.DomainOf(owner)]
	return found
}

// wanted returns the records of the zone's domains, once the first round of probes has
// decided for all of their providers.
func (z *zoneKept) wanted(ctx context.Context) (publish.Records, publish.Fates, error) {
	known := map[string]settings.Result{}
	for _, provider := range z.providers {
		result, found := z.daemon.results.get(provider)
		if !found || !decided(result) {
			return nil, nil, publish.ErrNotYet
		}
		known[provider] = result
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	sets, err := setsOf(ctx, z.Zone, z.daemon.cfg.CanonicalHost, z.daemon.addresses)
	if err != nil {
		return nil, nil, err
	}
	var records publish.Records
	for _, domain := range z.domains {
		result := known[z.providers[domain]]
		set, err := sets.of(result.Verified.Provider(), domain, func() (settings.Result, error) { return result, nil })
		if err != nil {
			return nil, nil, err
		}
		records = append(records, set.RRs()...)
	}
	return records, func(owner, target string, port uint16) publish.Fate {
		provider := z.providers[publish.DomainOf(owner)]
		scheme, _, _ := strings.Cut(strings.TrimPrefix(owner, "_"), ".")
		return fateOf(known[provider], settings.Service{Scheme: settings.Scheme(scheme), Host: target, Port: port})
	}, nil
}

// lookUpTime is how long the addresses of the configuration host are waited for.
const lookUpTime = 10 * time.Second

// decided tells whether the first round of probes has decided everything.
func decided(r settings.Result) bool {
	return !slices.ContainsFunc(settings.Roles(), func(role settings.Role) bool { return r.Verified.Undecided(role) || r.Verified.Unprobed(role) })
}

// fateOf says what has become of the service behind a record that is not wanted any more.
func fateOf(r settings.Result, service settings.Service) publish.Fate {
	for _, w := range r.Withheld {
		if w.Service != service {
			continue
		}
		switch w.Why {
		case settings.WhyNeverSeen:
			return publish.Missing // by this process; whoever wrote the record has seen it
		case settings.WhyNotProbed, settings.WhyUndecided:
			return publish.Pending
		}
	}
	return publish.Free // its grace is over; or it works and is said otherwise, or the operator has taken it out
}

// publish carries out a job with the key as it is now.
func (z *zoneKept) publish(ctx context.Context, job publish.Job) (publish.Plan, error) {
	zone := publish.Zone{Name: z.Name, Server: z.Server}
	if z.TSIGName != "" {
		key, _, err := publish.ReadKey(z.TSIGName, z.TSIGAlgorithm, z.TSIGSecretFile)
		if err != nil {
			return publish.Plan{}, err
		}
		zone.Key = key
	}
	plan, err := zone.Publish(ctx, job)
	if err == nil && !plan.Empty() {
		z.daemon.checks.poke() // what was found in DNS before may be mended
	}
	return plan, err
}
