package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"mailconfd/config"
	"mailconfd/internal/directory"
	"mailconfd/internal/login"
	"mailconfd/internal/monitor"
	"mailconfd/internal/publish"
	"mailconfd/internal/server"
	"mailconfd/settings"
	"mailconfd/srvrecords"
)

func (a *app) serve() *cobra.Command {
	var (
		timeout  time.Duration
		mailHost string
	)
	c := &cobra.Command{
		Use:   "serve [DOMAIN…]",
		Short: "probe, verify, and answer mail clients over HTTP(S)",
		Long: `serve probes the providers' mail servers again and again, and answers Thunderbird,
Outlook and others for the domains, from what was seen to work. It answers at
once: 503 until the first probes have ended. What was seen is kept in --state, by
default a file, so that a restart answers as before. SIGHUP reads the
configuration again; a bad one leaves the good one running.`,
		Example: `  mailconfd serve example.org --mail-host mail.example.org
  mailconfd serve --config /etc/mailconfd/mailconfd.yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			load := func() (config.Config, error) {
				cfg, err := a.load(c, mailHost, args...)
				if err == nil {
					err = a.checkKeys(cfg)
				}
				if err == nil && !hasDomain(cfg) {
					err = errors.New("nothing to serve: write a configuration (mailconfd config example), or try: mailconfd serve example.org --mail-host mail.example.org")
				}
				return cfg, err
			}
			cfg, err := load()
			if err != nil {
				return err
			}
			world, err := a.outside(cfg, timeout)
			if err != nil {
				return err
			}
			state, err := a.openState(c.Context(), cfg.State)
			if err != nil {
				return err
			}
			defer func() { _ = state.Close() }()
			d, err := newDaemon(cfg, world, state, a.log)
			if err != nil {
				return err
			}
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			listeners, err := openDoors(c.Context(), cfg)
			if err != nil {
				return err
			}
			return d.run(c.Context(), listeners, hangups, load)
		},
	}
	lookOutside(c, &timeout)
	configKeys(c, "listen", "admin-listen", "state")
	c.Flags().StringVar(&mailHost, "mail-host", "", "`HOST` whose default ports are the services, instead of a configuration")
	return c
}

// hasDomain tells whether there is anything to serve; each domain has its provider.
func hasDomain(cfg config.Config) bool {
	for range cfg.Domains() {
		return true
	}
	return false
}

// daemon is a running mailconfd: what demo and serve have in common.
type daemon struct {
	cfg       config.Config
	log       *slog.Logger
	mx        *directory.MXCache
	directory atomic.Pointer[directory.Directory]
	server    *server.Server
	monitor   *monitor.Monitor
	checks    *selfCheck
	logins    *logins
	accounts  []login.Declared // to begin with
	sight     *sight           // what the operator is shown
	keeper    *publish.Keeper
	results   results
	addresses *addressBook
	reloads   *prometheus.CounterVec
	changed   func(settings.Provider, settings.Result) // told as well; demo waits for it
	told      map[string]told                          // by provider: what was last logged
}

// told is what the log has of a provider.
type told struct {
	answers map[settings.Role]string
	missing []string // why formats are not published
}

// newDaemon builds everything and starts nothing.
func newDaemon(cfg config.Config, w world, state monitor.Store, log *slog.Logger) (*daemon, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	d := &daemon{cfg: cfg, log: log, mx: directory.NewMXCache(w), told: map[string]told{}}
	d.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailconfd_config_reloads_total", Help: "Configurations read again: taken up, or refused because of faults.",
	}, []string{"outcome"})
	for _, outcome := range []string{reloadTaken, reloadRefused} {
		d.reloads.WithLabelValues(outcome)
	}
	registry.MustRegister(d.reloads)
	d.checks = newSelfCheck(w, log, registry)
	d.addresses = newAddressBook(w)
	d.checks.dns = newDNSCheck(w, d.addresses, &d.results, cfg.CanonicalHost, log, registry)
	d.checks.take(cfg)
	d.directory.Store(directoryOf(cfg, d.mx))
	d.logins = newLogins(w, state, log, registry, func(provider string) { d.monitor.Reconsider(provider) })
	var err error
	if d.accounts, err = d.logins.read(cfg); err != nil {
		return nil, err
	}
	d.keeper = publish.NewKeeper(log, registry)
	d.checks.dns.expect = d.keeper.Expect
	d.monitor = monitor.New(monitor.Options{
		Prober: w, Store: state, Vantage: cfg.Probe.Vantage, Log: log, Metrics: registry,
		Changed: d.publish, Retired: d.retire, Logins: d.logins.Logins,
	})
	d.sight = newSight(d, state, cfg)
	registry.MustRegister(d.sight)
	options := server.Options{
		Finder: d, Log: log, Metrics: registry, Ready: d.monitor.Ready, State: d.monitor.State, MaxAge: maxAge(cfg), Operator: d.sight,
		TrustedProxies: cfg.TrustedProxies, CanonicalHost: cfg.CanonicalHost,
	}
	if cfg.TLS.Mode == config.TLSFiles {
		if options.Certificates, err = server.LoadCertificates(log, time.Now, keyPairs(cfg)...); err != nil {
			return nil, err
		}
	}
	d.server, err = server.New(options)
	return d, err
}

// keyPairs returns the certificates of a configuration as the server has them.
func keyPairs(cfg config.Config) []server.KeyPair {
	var pairs []server.KeyPair
	for _, c := range cfg.TLS.Certificates {
		pairs = append(pairs, server.KeyPair(c))
	}
	return pairs
}

// openDoors opens every door of the configuration; those opened are closed if one fails.
func openDoors(ctx context.Context, cfg config.Config) (all []server.Listener, err error) {
	doors := map[server.Door][]string{}
	if cfg.TLS.Mode == config.TLSFiles {
		doors[server.Secure], doors[server.Redirect] = cfg.TLS.Listen, cfg.TLS.HTTPListen
	} else {
		doors[server.Open] = cfg.Listen
	}
	if cfg.AdminListen != "" {
		doors[server.Admin] = []string{cfg.AdminListen}
	}
	for _, door := range []server.Door{server.Open, server.Secure, server.Redirect, server.Admin} {
		for _, address := range doors[door] {
			l, err := server.Listen(ctx, door, address)
			if err != nil {
				for _, l := range all {
					_ = l.Close()
				}
				return nil, err
			}
			all = append(all, l)
		}
	}
	return all, nil
}

// run answers until ctx ends. Each hang-up loads the configuration again.
func (d *daemon) run(ctx context.Context, listeners []server.Listener, hangups <-chan os.Signal, load func() (config.Config, error)) error {
	ctx, stop := context.WithCancel(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		d.logins.declare(ctx, d.accounts) // what they have proved counts from the beginning
		d.monitor.Run(ctx, declared(d.cfg))
	}()
	loggingIn := make(chan struct{})
	go func() {
		defer close(loggingIn)
		d.logins.Run(ctx)
	}()
	expiring := make(chan struct{})
	go func() {
		defer close(expiring)
		d.sight.watchCertificates(ctx)
	}()
	d.keepZones(ctx, d.cfg)
	reloading := make(chan struct{})
	go func() {
		defer close(reloading)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				d.reload(ctx, load)
			}
		}
	}()
	checking := make(chan struct{})
	go func() {
		defer close(checking)
		d.checks.run(ctx)
	}()
	select { // who restarts answers as before, from the first request on
	case <-d.monitor.Loaded():
	case <-time.After(loadTime):
	}
	err := d.server.Serve(ctx, listeners...)
	stop()
	<-watching
	<-loggingIn
	<-expiring
	<-reloading
	<-checking
	d.keeper.Wait()
	return err
}

// loadTime is how long requests wait, at the start, for a state that does not answer.
const loadTime = 3 * time.Second

func declared(cfg config.Config) monitor.Declared {
	return monitor.Declared{Providers: cfg.Providers, Policy: cfg.Policy, Interval: cfg.Probe.Interval}
}

// What can become of a configuration that is read again.
const (
	reloadTaken   = "taken"
	reloadRefused = "refused"
)

// reload takes up a new configuration, if it is good.
func (d *daemon) reload(ctx context.Context, load func() (config.Config, error)) {
	cfg, err := load()
	var accounts []login.Declared
	if err == nil {
		accounts, err = d.logins.read(cfg)
	}
	if err != nil {
		d.log.Error("the configuration was not reloaded; the one before stays in force", "error", err)
		d.reloads.WithLabelValues(reloadRefused).Inc()
		return
	}
	d.logins.declare(ctx, accounts)
	if d.monitor.Declare(ctx, declared(cfg)) != nil {
		return
	}
	d.directory.Store(directoryOf(cfg, d.mx))
	d.checks.take(cfg)
	d.sight.take(cfg)
	d.server.SetMaxAge(maxAge(cfg))
	d.keepZones(ctx, cfg)
	names, wildcards, mx := d.directory.Load().Len()
	d.log.Info("configuration reloaded", "providers", len(cfg.Providers), "domains", names, "wildcards", wildcards, "mx_hosts", mx)
	if fixed := changedUntilRestart(d.cfg, cfg); len(fixed) > 0 {
		d.log.Warn("some changes take effect after a restart only", "keys", fixed)
	}
	d.reloads.WithLabelValues(reloadTaken).Inc()
}

// changedUntilRestart returns the keys that differ and that a running process cannot
// take up.
func changedUntilRestart(old, now config.Config) []string {
	var keys []string
	for _, k := range []struct {
		name     string
		old, now any
	}{
		{"listen", old.Listen, now.Listen},
		{"admin_listen", old.AdminListen, now.AdminListen},
		{"state", old.State, now.State},
		{"trusted_proxies", old.TrustedProxies, now.TrustedProxies},
		{"canonical_host", old.CanonicalHost, now.CanonicalHost},
		{"resolver", old.Resolver, now.Resolver},
		{"tls", old.TLS, now.TLS},
		{"probe", probeWithoutInterval(old), probeWithoutInterval(now)},
	} {
		if !reflect.DeepEqual(k.old, k.now) {
			keys = append(keys, k.name)
		}
	}
	return keys
}

func probeWithoutInterval(c config.Config) config.Probe {
	c.Probe.Interval = 0
	return c.Probe
}

// Find asks the directory of the configuration in force.
func (d *daemon) Find(ctx context.Context, readings ...string) (provider, domain string, err error) {
	return d.directory.Load().Find(ctx, readings...)
}

// maxAge is how long clients may keep a document: what they have is then never older
// than two rounds of probes.
func maxAge(cfg config.Config) time.Duration { return min(cfg.Probe.Interval, time.Hour) }

// publish lets the server answer with what may be published now, and logs what changes
// for clients.
func (d *daemon) publish(p settings.Provider, r settings.Result) {
	missing := d.server.Publish(p.Name, r.Verified)
	d.logins.verified(p, r)
	d.results.set(p.Name, r)
	if decided(r) {
		d.tell(p, r, missing)
		d.keeper.Wake()
	}
	d.checks.poke()
	if d.changed != nil {
		d.changed(p, r)
	}
}

// tell logs the answers that are new, and what is left out of a format, once.
func (d *daemon) tell(p settings.Provider, r settings.Result, missing []error) {
	before := d.told[p.Name]
	now := told{answers: map[settings.Role]string{}}
	for _, role := range settings.Roles() {
		now.answers[role] = "none"
		if services := r.Verified.Services(role); len(services) > 0 {
			now.answers[role] = fmt.Sprintf("%s (%s)", services[0].Service, services[0].Basis)
		}
		if was, is := cmp.Or(before.answers[role], "none"), now.answers[role]; was != is {
			d.log.Info("clients are told", "provider", p.Name, "role", string(role), "service", is, "before", was)
		}
		if slices.Contains(p.NotOffered, role) && now.answers[role] != "none" {
			missing = append(missing, fmt.Errorf("%s is said not to be offered, and works: it is published", role))
		}
	}
	for _, disagreement := range r.Disagree {
		missing = append(missing, fmt.Errorf("vantages disagree: %s", disagreement))
	}
	for _, w := range r.Withheld {
		if w.Why == settings.WhyLogin {
			missing = append(missing, errors.New(w.String()))
		}
	}
	for _, err := range append(missing, leftOut(r)...) {
		now.missing = append(now.missing, err.Error())
	}
	for _, reason := range now.missing {
		if !slices.Contains(before.missing, reason) {
			d.log.Warn(reason, "provider", p.Name)
		}
	}
	d.told[p.Name] = now
}

// leftOut returns why DNS has no record at all for a role that is published.
func leftOut(r settings.Result) []error {
	set, err := srvrecords.Compile(r, "example.org", srvrecords.Options{}) // any domain: records differ by owner only
	if err != nil {
		return []error{err}
	}
	recorded := map[settings.Role]bool{}
	for _, record := range set.Records {
		if s, err := settings.ParseService(record.Service); err == nil {
			recorded[s.Role()] = true
		}
	}
	var all []error
	for _, w := range set.Withheld {
		s, err := settings.ParseService(w.Service)
		published := err == nil && slices.ContainsFunc(r.Verified.Services(s.Role()), func(p settings.Published) bool { return p.Service == s })
		if published && !recorded[s.Role()] {
			all = append(all, errors.New("SRV records leave out "+w.String()))
		}
	}
	return all
}

func (d *daemon) retire(provider string) {
	d.server.Retire(provider)
	d.logins.Verified(provider, nil)
	d.results.drop(provider)
	delete(d.told, provider)
}
