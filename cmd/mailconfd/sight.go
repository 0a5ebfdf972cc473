package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"mailconfd/config"
	"mailconfd/internal/monitor"
	"mailconfd/internal/overview"
	"mailconfd/internal/server"
	"mailconfd/internal/store"
	"mailconfd/settings"
	"mailconfd/srvrecords"
)

// sight is what the daemon shows its operator. It is the Source of reports, and the
// server's Operator.
type sight struct {
	overview.Maker
	daemon  *daemon
	state   monitor.Store
	host    string // canonical_host, for the records
	domains atomic.Pointer[map[string]overview.Domains]
	cfg     atomic.Pointer[config.Config] // for its zones
}

func newSight(d *daemon, state monitor.Store, cfg config.Config) *sight {
	s := &sight{daemon: d, state: state, host: cfg.CanonicalHost}
	s.Maker = overview.Maker{Source: s, Version: buildVersion(), Vantage: cfg.Probe.Vantage, Now: time.Now}
	s.take(cfg)
	return s
}

// take notes which domains lead to which provider.
func (s *sight) take(cfg config.Config) {
	domains := map[string]overview.Domains{}
	for d := range cfg.Domains() {
		of := domains[d.Provider]
		switch {
		case d.Name != "":
			of = of.With(d.Name)
		case d.Wildcard != "":
			of = of.With("*." + d.Wildcard)
		}
		for _, host := range d.MX {
			of = of.With("MX " + host)
		}
		domains[d.Provider] = of
	}
	s.domains.Store(&domains)
	s.cfg.Store(&cfg)
}

// Known is overview.Source's.
func (s *sight) Known() iter.Seq[overview.Known] {
	return func(yield func(overview.Known) bool) {
		domains := *s.domains.Load()
		for k := range s.daemon.monitor.Known() {
			known := overview.Known{
				Provider: k.Provider, Result: k.Result, Views: k.Views,
				Domains: domains[k.Provider.Name], Missing: s.missing(k),
				Drift: s.daemon.checks.dns.of(k.Provider.Name),
			}
			if !yield(known) {
				return
			}
		}
	}
}

// missing says why formats are not published, once the first probes are over.
func (s *sight) missing(k monitor.Known) []string {
	if early(k.Result.Verified) {
		return nil
	}
	var all []string
	for _, err := range append(s.daemon.server.Answers(k.Provider.Name).Withheld(), leftOut(k.Result)...) {
		all = append(all, err.Error())
	}
	return all
}

// early tells that the first probes are not over.
func early(v settings.Verified) bool {
	return slices.ContainsFunc(settings.Roles(), func(r settings.Role) bool { return v.Undecided(r) || v.Unprobed(r) })
}

// State is overview.Source's.
func (s *sight) State() overview.State {
	state := overview.State{Kind: "memory", Generation: s.daemon.monitor.Generation()}
	if db, ok := s.state.(*store.SQL); ok {
		state.Kind = "postgres"
		if strings.HasPrefix(db.Name(), "sqlite:") {
			state.Kind = "sqlite"
		}
	}
	if err := s.daemon.monitor.State(); err != nil {
		state.Error = err.Error()
	}
	return state
}

// Zones is overview.Source's.
func (s *sight) Zones() []overview.Zone {
	servers := map[string]string{}
	for _, z := range s.cfg.Load().Publish {
		servers[z.Name] = z.Server
	}
	moment := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC().Truncate(time.Second)
		return &t
	}
	var all []overview.Zone
	for _, z := range s.daemon.keeper.Status() {
		all = append(all, overview.Zone{
			Zone: z.Zone, Server: servers[z.Zone], Looked: moment(z.Looked), Changed: moment(z.Changed), Failed: moment(z.Failed),
			Failure: z.Failure, Failing: z.Failing, Remarks: z.Remarks,
		})
	}
	return all
}

// set makes the records of a domain, as they are published where its zone is kept.
func (s *sight) set(ctx context.Context, result settings.Result, domain string) (srvrecords.Set, error) {
	sets := zoneSets{options: srvrecords.Options{ConfigHost: s.host}}
	if zone, kept := s.cfg.Load().ZoneOf(domain); kept {
		ctx, cancel := context.WithTimeout(ctx, lookUpTime)
		defer cancel()
		var err error
		if sets, err = setsOf(ctx, zone, s.host, s.daemon.addresses); err != nil {
			return srvrecords.Set{}, err
		}
	}
	return sets.of(result.Verified.Provider(), domain, func() (settings.Result, error) { return result, nil })
}

// Changes is overview.Source's.
func (s *sight) Changes(ctx context.Context, of settings.Service, n int) ([]settings.Observation, error) {
	return s.state.Changes(ctx, of, n)
}

// Domain is server.Operator's.
func (s *sight) Domain(ctx context.Context, domain string) (overview.Domain, error) {
	name, _, err := s.daemon.Find(ctx, domain)
	if err != nil {
		return overview.Domain{}, err
	}
	known, declared := s.daemon.monitor.Provider(name)
	switch {
	case name == "":
		return overview.Domain{}, server.ErrUnknownDomain
	case !declared:
		return overview.Domain{}, errors.New("its provider has been declared this moment")
	}
	set, err := s.set(ctx, known.Result, domain)
	if err != nil {
		return overview.Domain{}, err
	}
	records, err := json.Marshal(set)
	if err != nil {
		return overview.Domain{}, fmt.Errorf("records: %w", err)
	}
	whole := overview.Known{Provider: known.Provider, Result: known.Result, Views: known.Views, Missing: s.missing(known), Drift: s.daemon.checks.dns.of(name)}
	d := overview.Domain{Domain: domain, Unicode: set.Unicode, Provider: name, Level: whole.Level(s.Now()), Records: records}
	answers := s.daemon.server.Answers(name)
	for _, f := range server.Formats() {
		out := overview.Format{Format: string(f)}
		document, err := answers.Append(nil, f, settings.Address{Domain: domain})
		if out.Published = err == nil; out.Published {
			out.Document = string(document)
		} else {
			out.Reason = err.Error()
		}
		d.Formats = append(d.Formats, out)
	}
	return d, nil
}
