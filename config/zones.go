package config

import (
	"math"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// maxTTL is the longest time to live (RFC 2181 section 8).
const maxTTL = math.MaxInt32 * time.Second

// minPublish is the shortest time between two changes of a zone.
const minPublish = time.Second

// zones makes the zones that are to be kept in step.
func (l *loader) zones(entries []publishEntry) []Zone {
	var all []Zone
	seen := map[string]int{}
	for i, e := range entries {
		at := path{"publish", i}
		if l.isBroken(at) {
			continue
		}
		z := l.zone(at, e)
		if first, twice := seen[z.Name]; twice && z.Name != "" {
			l.bad(at.to("zone"), "%s is there already%s", quote(e.Zone), l.onLine(path{"publish", first}))
		} else {
			seen[z.Name] = i
		}
		all = append(all, z)
	}
	return all
}

func (l *loader) zone(at path, e publishEntry) Zone {
	z := Zone{
		Server: e.Server, TSIGName: e.TSIGName, TSIGAlgorithm: e.TSIGAlgorithm, TSIGSecretFile: l.beside(e.TSIGSecretFile),
		TTL: e.TTL, Interval: e.Interval, AllowEmpty: e.AllowEmpty, Addresses: e.Addresses, Mailconf: e.Mailconf,
	}
	var err error
	if z.Name, err = settings.ParseDomain(e.Zone); err != nil {
		l.bad(at.to("zone"), "%v", err)
	}
	if !isAddress(e.Server, true) {
		l.bad(at.to("server"), "%s: want HOST:PORT of the zone's primary, such as 192.0.2.53:53", quote(e.Server))
	}
	switch {
	case e.TSIGName == "" && e.TSIGSecretFile == "":
		l.warn(at.to("tsig_name"), "without a key, whoever can send from this machine's address can change the zone too")
	case e.TSIGName == "":
		l.bad(at.to("tsig_secret_file"), "given without tsig_name; want both, or neither")
	case e.TSIGSecretFile == "":
		l.bad(at.to("tsig_name"), "given without tsig_secret_file; want both, or neither")
	case strings.ContainsAny(e.TSIGName, " \t") || len(e.TSIGName) > 255:
		l.bad(at.to("tsig_name"), "%s: want the name of a key as the server has it, such as mailconfd", quote(e.TSIGName))
	}
	l.zoneNames(at, e, &z)
	if e.TTL < time.Second || e.TTL > maxTTL || e.TTL%time.Second != 0 {
		l.bad(at.to("ttl"), "%s: want whole seconds, such as 1h or 300s", e.TTL)
	}
	if e.Interval < minPublish {
		l.bad(at.to("interval"), "%s: want %s or more, such as 10m", e.Interval, minPublish)
	}
	return z
}

// zoneNames reads the names that records lead to.
func (l *loader) zoneNames(at path, e publishEntry, z *Zone) {
	var err error
	if e.DelegateTo != "" {
		if z.DelegateTo, err = settings.ParseDomain(e.DelegateTo); err != nil {
			l.bad(at.to("delegate_to"), "%v", err)
		}
	}
	if e.ConfigHost != "" {
		if z.ConfigHost, err = settings.ParseDomain(e.ConfigHost); err != nil {
			l.bad(at.to("config_host"), "%s: want a full host name such as autodiscover.example.org", quote(e.ConfigHost))
		}
	}
	if e.ConfigHost != "" || l.doc.CanonicalHost != "" {
		return
	}
	const whose = "of which host? Give config_host here, or set canonical_host"
	if e.Addresses {
		l.bad(at.to("addresses"), whose)
	}
	if e.Mailconf {
		l.bad(at.to("mailconf"), whose)
	}
}

// unpublished warns of zones that no domain is in. A wildcard or an MX rule names no
// domain, so what they stand for is not published.
func (l *loader) unpublished(c Config) {
	used := map[string]bool{}
	if len(c.Publish) > 0 {
		for _, d := range c.domains {
			if z, found := c.ZoneOf(d.Name); found {
				used[z.Name] = true
			}
		}
	}
	for i, z := range c.Publish {
		if !used[z.Name] && z.Name != "" {
			l.warn(path{"publish", i, "zone"}, "no domain that is listed by name is in %s: nothing will be published there", z.Name)
		}
	}
}

// delegated looks at where zones of aliases lead: to a domain that keeps the set itself, of the
// same provider.
func (l *loader) delegated(c Config) {
	if !slices.ContainsFunc(c.Publish, func(z Zone) bool { return z.DelegateTo != "" }) {
		return
	}
	providers := map[string]string{}
	for _, d := range c.domains {
		providers[d.Name] = d.Provider
	}
	for i, z := range c.Publish {
		if z.DelegateTo == "" {
			continue
		}
		at := path{"publish", i, "delegate_to"}
		keeps, listed := providers[z.DelegateTo]
		switch next, found := c.ZoneOf(z.DelegateTo); {
		case found && next.DelegateTo != "" && next.DelegateTo != z.DelegateTo:
			l.bad(at, "%s leads on to %s: want the domain that keeps the set itself", z.DelegateTo, next.DelegateTo)
			continue
		case !listed:
			l.warn(at, "%s is not listed by name under domains: nothing here publishes the set that the aliases lead to", z.DelegateTo)
			continue
		}
		for _, d := range c.domains {
			if of, _ := c.ZoneOf(d.Name); of.Name == z.Name && d.Name != "" && d.Provider != keeps {
				l.bad(at, "%s has the provider %s, and %s has %s: its users would be sent to the wrong servers", d.Name, quote(d.Provider), z.DelegateTo, quote(keeps))
				break
			}
		}
	}
}
