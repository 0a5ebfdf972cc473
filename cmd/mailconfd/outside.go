package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"mailconfd/config"
	"mailconfd/doctor"
	"mailconfd/internal/directory"
	"mailconfd/internal/outside"
	"mailconfd/probe"
	"mailconfd/settings"
)

// lookOutside adds the flags that every command has which looks outside.
func lookOutside(c *cobra.Command, timeout *time.Duration) {
	configKeys(c, "ca-file", "resolver", "via")
	c.Flags().DurationVar(timeout, "timeout", time.Minute, "longest `TIME` for one dialogue with a mail server")
}

// world is what a command sees of the outside: a doctor.World.
type world struct {
	*probe.Prober
	resolver *outside.Resolver
	fetcher  *outside.Fetcher
	proxied  bool // everything but the questions to the resolver goes through a proxy
	asker    *outside.Asker
}

// outside puts together how the configuration wants to look outside.
func (a *app) outside(cfg config.Config, timeout time.Duration) (world, error) {
	return a.outsideWithin(cfg, probe.Timeouts{Dialogue: timeout})
}

// outsideWithin is outside with other times for parts of a dialogue.
func (a *app) outsideWithin(cfg config.Config, timeouts probe.Timeouts) (world, error) {
	timeout := timeouts.Dialogue
	if timeout <= 0 {
		return world{}, fmt.Errorf("--timeout %s: want a time such as 30s", timeout)
	}
	resolver, err := outside.NewResolver(cfg.Resolver)
	if err != nil {
		return world{}, err
	}
	dialer, err := outside.NewDialer(cfg.Probe.Via)
	if err != nil {
		return world{}, err
	}
	roots, extra, err := outside.Roots(cfg.Probe.CAFile)
	if err != nil {
		return world{}, err
	}
	prober := probe.New(probe.Options{
		Resolver: resolver, Dial: dialer.DialContext, Proxied: dialer.Proxied(),
		Roots: roots, Extra: extra, HELO: cfg.Probe.HELO, Vantage: cfg.Probe.Vantage,
		Timeouts: timeouts,
	})
	fetcher := outside.NewFetcher(outside.FetchOptions{
		Resolver: resolver, Dialer: dialer, Local: prober.Locality,
		UserAgent: userAgent(), MaxBody: doctor.MaxBody, Timeout: min(timeout, fetchTimeout),
	})
	return world{prober, resolver, fetcher, dialer.Proxied(), outside.NewAsker(resolver, dialer)}, nil
}

// BestMX returns the MX hosts of the lowest preference.
func (w world) BestMX(ctx context.Context, domain string) ([]string, error) {
	records, err := w.resolver.MX(ctx, domain)
	if err != nil {
		return nil, err
	}
	var best []string
	for _, mx := range records {
		host, err := settings.ParseHost(mx.Host)
		if err == nil && mx.Preference == records[0].Preference {
			best = append(best, host)
		}
	}
	return best, nil
}

// look probes the services once, telling progress on a terminal, and returns what was
// seen in the order of the services.
func (a *app) look(ctx context.Context, w world, services []settings.Service) ([]settings.Observation, error) {
	bar := a.progress(services)
	seen := map[settings.Service]settings.Observation{}
	w.Round(ctx, services, func(o settings.Observation) {
		seen[o.Service] = o
		bar.step(o.Service)
	})
	bar.done()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	all := make([]settings.Observation, 0, len(services))
	for _, s := range services {
		all = append(all, seen[s])
	}
	return all, nil
}

// blind returns an error if nothing was seen of any service, because our own network,
// proxy or resolver does not work.
func blind(seen []settings.Observation) error {
	var first *settings.Failure
	for _, o := range seen {
		v := o.Verdict()
		if v.Verified || v.Failure.Kind != settings.FailureLocal {
			return nil
		}
		if first == nil {
			first = v.Failure
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("nothing could be looked at from here: %s; %s (--resolver, --via and their variables say how)", first.Detail, first.Kind.Text().Remedy)
}

// verify decides, from one look at a provider, what may be published now.
func verify(p settings.Provider, seen []settings.Observation, policy settings.Policy) settings.Result {
	histories := map[settings.Service]settings.Views{}
	for _, o := range seen {
		histories[o.Service] = settings.Views{settings.Fold(o)}
	}
	return settings.Verify(p, histories, time.Now(), policy)
}

// view is what a command that answers at once knows: from a state that a daemon keeps fresh;
// without one it probes each provider once, when it is first asked about.
type view struct {
	known     *known
	app       *app
	cfg       config.Config
	world     world
	directory *directory.Directory
	results   map[string]settings.Result // by provider
}

// view loads the configuration, or makes one of a mail host and domains.
// With probeNow it looks by itself in any case.
func (a *app) view(c *cobra.Command, timeout time.Duration, probeNow bool, mailHost string, domains ...string) (*view, error) {
	if mailHost == "" {
		domains = nil // they are looked for in the configuration
	}
	cfg, err := a.load(c, mailHost, domains...)
	if err != nil {
		return nil, err
	}
	w, err := a.outside(cfg, timeout)
	if err != nil {
		return nil, err
	}
	v := &view{app: a, cfg: cfg, world: w, directory: directoryOf(cfg, directory.NewMXCache(w)), results: map[string]settings.Result{}}
	if !probeNow {
		v.known = a.readState(c.Context(), cfg.State)
	}
	return v, nil
}

// of decides what may be published now for a domain.
func (v *view) of(ctx context.Context, domain string) (settings.Result, error) {
	p, err := v.provider(ctx, domain)
	if err != nil {
		return settings.Result{}, err
	}
	return v.result(ctx, p)
}

// provider returns who serves a domain.
func (v *view) provider(ctx context.Context, domain string) (settings.Provider, error) {
	name, _, err := v.directory.Find(ctx, domain)
	if err != nil {
		return settings.Provider{}, err
	}
	i := slices.IndexFunc(v.cfg.Providers, func(p settings.Provider) bool { return p.Name == name })
	if i < 0 {
		return settings.Provider{}, fmt.Errorf("%s: no domain of the configuration matches; add it under domains, or give --mail-host HOST", domain)
	}
	return v.cfg.Providers[i], nil
}

// result decides what may be published now for a provider.
func (v *view) result(ctx context.Context, p settings.Provider) (settings.Result, error) {
	i := slices.IndexFunc(v.cfg.Providers, func(q settings.Provider) bool { return q.Name == p.Name })
	if result, fresh := v.known.of(v.cfg, i); fresh {
		v.results[p.Name] = result
	}
	if _, known := v.results[p.Name]; !known {
		seen, err := v.app.look(ctx, v.world, p.Candidates())
		if err != nil {
			return settings.Result{}, err
		}
		if err := blind(seen); err != nil {
			return settings.Result{}, err
		}
		v.results[p.Name] = verify(p, seen, v.cfg.Policy)
	}
	return v.results[p.Name], nil
}

// directoryOf takes the domains of a configuration into a directory.
func directoryOf(cfg config.Config, mx *directory.MXCache) *directory.Directory {
	return directory.New(func(yield func(directory.Rule) bool) {
		for d := range cfg.Domains() {
			if !yield(directory.Rule(d)) {
				return
			}
		}
	}, mx)
}
