// Package directory knows which provider serves a mail domain: by its name, by a
// wildcard above it, or by its best MX, which is looked up when a domain is first
// asked for. Look-ups are bounded in time, rate and number: the domain comes from
// whoever sends a request.
package directory

import (
	"context"
	"iter"
	"slices"
	"strings"
)

// Rule says which domains a provider serves. One of Name, Wildcard and MX is set.
// Names are canonical, as settings.ParseDomain gives them.
type Rule struct {
	Name     string   // this domain
	Wildcard string   // every subdomain of this domain, at any depth, but not itself
	MX       []string // every domain whose best MX is one of these hosts, less Except
	Except   []string
	Provider string
}

// Directory is immutable and safe for concurrent use; a new declaration makes a new one.
type Directory struct {
	names     map[string]string // domain: provider
	wildcards map[string]string
	mx        map[string]mxRule // MX host: rule
	lookup    *MXCache
}

type mxRule struct {
	provider string
	except   []string
}

// New makes a directory of rules. MX answers come from lookup, which outlives it, and
// forgets what was not served before.
func New(rules iter.Seq[Rule], lookup *MXCache) *Directory {
	d := &Directory{names: map[string]string{}, wildcards: map[string]string{}, mx: map[string]mxRule{}, lookup: lookup}
	lookup.Forget()
	for r := range rules {
		switch {
		case r.Name != "":
			d.names[r.Name] = r.Provider
		case r.Wildcard != "":
			d.wildcards[r.Wildcard] = r.Provider
		}
		for _, host := range r.MX {
			d.mx[host] = mxRule{r.Provider, r.Except}
		}
	}
	return d
}

// Len returns how many domains, wildcards and MX hosts are declared.
func (d *Directory) Len() (names, wildcards, mx int) {
	return len(d.names), len(d.wildcards), len(d.mx)
}

// Find returns the provider that serves one of several readings of one question, and
// which reading that was: a host such as autoconfig.example.org may be a domain
// itself, or stand for example.org, the last reading. Names come before wildcards
// before MX. Names are tried in the order given, wildcards from the last reading to
// the first. MX is looked up for the last reading only: that is the mail domain.
//
// An empty provider means that nobody here serves it. An error means that this could
// not be found out, because an MX look-up did not work; ErrBusy is one.
func (d *Directory) Find(ctx context.Context, readings ...string) (provider, domain string, err error) {
	for _, name := range readings {
		if provider, ok := d.names[name]; ok {
			return provider, name, nil
		}
	}
	for _, name := range slices.Backward(readings) {
		if provider := d.wildcard(name); provider != "" {
			return provider, name, nil
		}
	}
	if len(d.mx) == 0 || len(readings) == 0 {
		return "", "", nil
	}
	domain = readings[len(readings)-1]
	host, err := d.lookup.Match(ctx, domain, func(host string) bool {
		rule, ok := d.mx[host]
		return ok && !slices.Contains(rule.except, domain)
	})
	if err != nil || host == "" {
		return "", "", err
	}
	return d.mx[host].provider, domain, nil
}

// wildcard returns the provider of the nearest wildcard above a name.
func (d *Directory) wildcard(name string) string {
	for len(d.wildcards) > 0 {
		_, above, ok := strings.Cut(name, ".")
		if !ok {
			break
		}
		if provider, ok := d.wildcards[above]; ok {
			return provider
		}
		name = above
	}
	return ""
}
