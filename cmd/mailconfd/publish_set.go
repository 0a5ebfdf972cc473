package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"mailconfd/config"
	"mailconfd/settings"
	"mailconfd/srvrecords"
)

// zoneSets makes the record sets of a zone's domains: for publish, for serve, and for the
// comparison with DNS.
type zoneSets struct {
	options    srvrecords.Options
	delegateTo string
}

// setsOf says how the sets of a zone are made; with addresses, the configuration host is
// looked up now.
func setsOf(ctx context.Context, z config.Zone, canonicalHost string, addresses *addressBook) (zoneSets, error) {
	s := zoneSets{delegateTo: z.DelegateTo, options: srvrecords.Options{
		ConfigHost: cmp.Or(z.ConfigHost, canonicalHost), Mailconf: z.Mailconf, TTL: cmp.Or(z.TTL, srvrecords.DefaultTTL), Zone: z.Name,
	}}
	if s.options.ConfigHost == "" && (z.Addresses || z.Mailconf) {
		return s, errors.New("addresses and mailconf: of which host? Give --config-host, or set config_host or canonical_host")
	}
	var err error
	if z.Addresses {
		s.options.ConfigAddresses, err = addresses.of(ctx, s.options.ConfigHost)
	}
	return s, err
}

// of makes the set of a domain: aliases of the one that is kept at another domain, or what the result
// calls for, which is asked for only then.
func (s zoneSets) of(p settings.Provider, domain string, result func() (settings.Result, error)) (srvrecords.Set, error) {
	if s.delegateTo != "" && s.delegateTo != domain {
		return srvrecords.Delegate(p, domain, s.delegateTo, s.options)
	}
	r, err := result()
	if err != nil {
		return srvrecords.Set{}, err
	}
	return srvrecords.Compile(r, domain, s.options)
}

// addressBook looks configuration hosts up, and remembers what it found: DNS that fails
// changes no zone. It may be used by several goroutines.
type addressBook struct {
	// lookUp returns all addresses of a host, or an error where they are not known.
	lookUp func(context.Context, string) ([]netip.Addr, error)

	mu    sync.Mutex
	known map[string][]netip.Addr
}

func newAddressBook(w world) *addressBook {
	return &addressBook{known: map[string][]netip.Addr{}, lookUp: w.resolver.AddressRecords}
}

// of returns the addresses that a host has now or, where that is not known, had last. The error means that
// they never were known.
func (b *addressBook) of(ctx context.Context, host string) ([]netip.Addr, error) {
	ips, err := b.lookUp(ctx, host)
	if err == nil && len(ips) == 0 {
		err = errors.New("it has no address")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.known[host] = ips
	}
	if len(b.known[host]) == 0 {
		return nil, fmt.Errorf("addresses of %s: %w", host, err)
	}
	return slices.Clone(b.known[host]), nil
}
