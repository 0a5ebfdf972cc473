package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"mailconfd/config"
	"mailconfd/internal/login"
	"mailconfd/internal/monitor"
	"mailconfd/settings"
)

// probeAccounts reads the passwords of the accounts that the configuration names. The
// warnings are about files that everybody may read.
func probeAccounts(cfg config.Config) (accounts []login.Declared, warnings []string, err error) {
	providers := map[string]settings.Provider{}
	for _, p := range cfg.Providers {
		providers[p.Name] = p
	}
	var faults []error
	for _, a := range cfg.ProbeAccounts {
		account, warning, err := login.ReadAccount(a.Address, a.PasswordFile)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if warning != "" {
			warnings = append(warnings, warning)
		}
		accounts = append(accounts, login.Declared{Provider: providers[a.Provider], Account: account})
	}
	return accounts, warnings, errors.Join(faults...)
}

// loginsOf picks the logins that were made with a provider's account.
func loginsOf(cfg config.Config, provider string, all []settings.Login) (of []settings.Login) {
	for _, a := range cfg.ProbeAccounts {
		for _, l := range all {
			if a.Provider == provider && l.Account == a.Address.String() {
				of = append(of, l)
			}
		}
	}
	return of
}

// logins is how a daemon logs in, now and then, with accounts of the operator's.
type logins struct {
	*login.Checker
	log   *slog.Logger
	total *prometheus.CounterVec

	mu   sync.Mutex
	told map[string]string // by provider and service: what was last logged
}

// newLogins builds the checker of a daemon. changed is told that a provider's logins came
// to something new. A state that keeps no logins gets a memory beside it.
func newLogins(opener login.Opener, state monitor.Store, log *slog.Logger, registry prometheus.Registerer, changed func(provider string)) *logins {
	l := &logins{log: log, told: map[string]string{}, total: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailconfd_logins_total", Help: "Login checks by scheme and outcome: accepted, or the kind of failure.",
	}, []string{"scheme", "outcome"})}
	registry.MustRegister(l.total)
	kept, ok := state.(login.Store)
	if !ok {
		kept = &login.Memory{}
	}
	l.Checker = login.NewChecker(login.Options{Opener: opener, Store: kept, Told: func(r login.Report) {
		l.tell(r)
		changed(r.Provider)
	}})
	return l
}

// read reads the accounts of a configuration.
func (l *logins) read(cfg config.Config) ([]login.Declared, error) {
	accounts, warnings, err := probeAccounts(cfg)
	for _, w := range warnings {
		l.log.Warn(w)
	}
	return accounts, err
}

// declare takes accounts up.
func (l *logins) declare(ctx context.Context, accounts []login.Declared) {
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	if err := l.Declare(ctx, accounts...); err != nil {
		l.log.Warn("what earlier logins came to cannot be read yet; nobody logs in before it is", "error", err)
	}
}

// verified hands on which of a provider's services the prober lets through, those that
// are withheld for their logins among them; once each has an outcome, so that it is not
// left to chance which is tried first.
func (l *logins) verified(p settings.Provider, r settings.Result) {
	if slices.ContainsFunc(settings.Roles(), r.Verified.Unprobed) {
		return
	}
	var services []settings.Service
	for _, role := range settings.Roles() {
		for _, s := range r.Verified.Services(role) {
			if s.Basis == settings.BasisProbed || s.Basis == settings.BasisLocal {
				services = append(services, s.Service)
			}
		}
	}
	for _, w := range r.Withheld {
		if w.Why == settings.WhyLogin {
			services = append(services, w.Service)
		}
	}
	l.Verified(p.Name, services)
}

// tell logs what is new, once.
func (l *logins) tell(r login.Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	once := func(about, text string) bool {
		key := r.Provider + " " + about
		news := l.told[key] != text
		l.told[key] = text
		return news
	}
	if s := r.Login.Service; s != (settings.Service{}) {
		outcome, f := "accepted", r.Login.Failure
		if r.As != settings.LoginAccepted && f != nil {
			outcome = string(f.Kind)
		}
		l.total.WithLabelValues(string(s.Scheme), outcome).Inc()
		switch about := []any{"provider", r.Provider, "service", s.String()}; {
		case outcome != "accepted" && once(s.String(), outcome):
			l.log.Warn("login does not work", append(about, "kind", outcome, "detail", f.Detail, "remedy", f.Kind.Text().Remedy)...)
		case outcome == "accepted" && r.Login.Rejected() && once(s.String(), outcome+" only"):
			l.log.Info("login works, and with the declared form of the user name only", append(about, "detail", f.Detail)...)
		case outcome == "accepted" && !r.Login.Rejected() && once(s.String(), outcome):
			l.log.Info("login works", about...)
		}
	}
	if r.Halted && once("account", "halted") {
		l.log.Error("the probe account is rejected by every service that was tried; nobody logs in with it until it changes: check its address and password", "provider", r.Provider)
	} else if !r.Halted {
		once("account", "")
	}
	if r.Err != nil && once("error", r.Err.Error()) {
		l.log.Warn("a login was not made, or not kept", "provider", r.Provider, "error", r.Err)
	} else if r.Err == nil {
		once("error", "")
	}
}
