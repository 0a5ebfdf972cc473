package config

import (
	"fmt"
	"strings"

	"golang.org/x/net/publicsuffix"

	"mailconfd/settings"
)

// providers makes the declared providers. Those with problems are among them, so that
// domains can refer to them.
func (l *loader) providers(entries []providerEntry) []settings.Provider {
	var all []settings.Provider
	seen := map[string]int{} // the entry that has a name
	for i, e := range entries {
		at := path{"providers", i}
		if first, twice := seen[e.Name]; !twice {
			seen[e.Name] = i
		} else if e.Name != "" {
			l.bad(at.to("name"), "%s is a provider already%s", quote(e.Name), l.onLine(path{"providers", first, "name"}))
		}
		if l.isBroken(at) {
			all = append(all, settings.Provider{Name: e.Name})
			continue
		}
		all = append(all, l.provider(at, e))
	}
	return all
}

func (l *loader) provider(at path, e providerEntry) settings.Provider {
	p := settings.Provider{
		Name: e.Name, DisplayName: e.DisplayName, ShortName: e.ShortName,
		Username: settings.Username(e.Username), AcceptsAddress: e.AcceptsAddress,
	}
	for i, text := range e.Hosts {
		host, err := settings.ParseHost(text)
		switch {
		case strings.Contains(text, "://"):
			l.bad(at.to("hosts", i), "%s is a service; it goes to services, here want a name such as mail.example.org", quote(text))
			continue
		case err != nil:
			l.bad(at.to("hosts", i), "%v", err)
			continue
		}
		services := settings.Candidates(host)
		for _, problem := range alone(settings.Provider{Services: services[:1]}) {
			l.bad(at.to("hosts", i), "%s", strings.Replace(problem, services[0].String(), host, 1))
		}
		p.Services = append(p.Services, services...)
	}
	for i, text := range e.Services {
		if s, ok := l.service(at.to("services", i), text); ok {
			if len(e.Hosts) > 0 && s.Scheme.WellKnown() == "" {
				l.bad(at.to("services", i), "%s is given beside hosts, which tries every default port of mail; beside it want only jmap, caldavs and carddavs, or all services and no hosts", quote(text))
			}
			p.Services = append(p.Services, s)
			l.badAll(at.to("services", i), alone(settings.Provider{Services: []settings.Service{s}}))
		}
	}
	for i, t := range e.Trusted {
		if s, ok := l.service(at.to("trusted", i, "service"), t.Service); ok {
			p.Trusted = append(p.Trusted, settings.Trust{Service: s, Reason: t.Reason})
			l.badAll(at.to("trusted", i), alone(settings.Provider{Trusted: p.Trusted[len(p.Trusted)-1:]}))
		}
	}
	for _, role := range e.NotOffered {
		p.NotOffered = append(p.NotOffered, settings.Role(role))
	}
	l.whole(at, e, p)
	return p
}

// probeAccounts makes the accounts of those providers that have one.
func (l *loader) probeAccounts(entries []providerEntry) []ProbeAccount {
	var all []ProbeAccount
	for i, e := range entries {
		at := path{"providers", i, "probe_account"}
		a := e.ProbeAccount
		switch {
		case a == accountSection{}:
			continue
		case a.Address == "":
			l.bad(at.to("address"), "missing: want the address of the mailbox whose password is in %s", quote(a.PasswordFile))
			continue
		case a.PasswordFile == "":
			l.bad(at.to("password_file"), "missing: want a file with the password of %s", quote(a.Address))
		}
		address, err := settings.ParseAddress(a.Address)
		if err != nil {
			l.bad(at.to("address"), "%v", err)
		}
		all = append(all, ProbeAccount{e.Name, address, l.beside(a.PasswordFile)})
	}
	return all
}

// whole checks what does not belong to a single service.
func (l *loader) whole(at path, e providerEntry, p settings.Provider) {
	for _, problem := range p.Check() {
		switch problem.Key {
		case "services", "trusted": // told for each, above
		case "hosts":
			if len(e.Hosts)+len(e.Services)+len(e.Trusted) == 0 {
				l.bad(at.to("hosts"), "%s", problem.Text)
			}
		default:
			l.bad(at.to(problem.Key), "%s", problem.Text)
		}
	}
}

// alone returns what is wrong with the services of a provider that has nothing else.
func alone(p settings.Provider) []string {
	var texts []string
	for _, problem := range p.Check() {
		if problem.Key == "services" || problem.Key == "trusted" {
			texts = append(texts, problem.Text)
		}
	}
	return texts
}

func (l *loader) badAll(at path, texts []string) {
	for _, text := range texts {
		l.bad(at, "%s", text)
	}
}

// service reads a service and says which scheme was probably meant.
func (l *loader) service(at path, text string) (settings.Service, bool) {
	s, err := settings.ParseService(text)
	if err == nil {
		return s, true
	}
	near := ""
	word, _, _ := strings.Cut(strings.ToLower(text), "://")
	if settings.Scheme(word).Role() == "" {
		near = didYouMean(word, schemes())
	}
	l.bad(at, "%v%s", err, near)
	return s, false
}

func schemes() []string {
	var names []string
	for _, s := range settings.Schemes() {
		names = append(names, string(s))
	}
	return names
}

// domains makes the declared domains, and finds those that stand there twice once they
// are in canonical form.
func (l *loader) domains(entries []domainEntry, providers []settings.Provider) []Domain {
	var names []string
	unused := map[string]bool{}
	for _, p := range providers {
		names, unused[p.Name] = append(names, p.Name), true
	}
	seen := make(map[string]int, len(entries)) // the entry that has a name, a wildcard or an MX
	all := make([]Domain, 0, len(entries))
	for i, e := range entries {
		if l.full() {
			break
		}
		if len(l.broken) > 0 && l.isBroken(path{"domains", i}) {
			continue
		}
		if _, known := unused[e.Provider]; known {
			unused[e.Provider] = false
		} else {
			l.bad(path{"domains", i, "provider"}, "no provider is called %s%s", quote(e.Provider), insteadOf(e.Provider, names))
		}
		all = append(all, l.domain(i, e, seen))
	}
	for i, name := range names {
		if unused[name] {
			l.warn(path{"providers", i, "name"}, "no domain has the provider %s", quote(name))
		}
	}
	return all
}

// insteadOf names the provider that was meant, or those that there are.
func insteadOf(name string, names []string) string {
	near := didYouMean(name, names)
	switch {
	case near != "":
		return near
	case len(names) == 0:
		return "; there is none"
	case len(names) > 5:
		return fmt.Sprintf("; there are %s and %d more", plain(strings.Join(names[:5], ", ")), len(names)-5)
	}
	return "; want " + plain(strings.Join(names, " or "))
}

func (l *loader) domain(i int, e domainEntry, seen map[string]int) Domain {
	d := Domain{Provider: e.Provider}
	once := func(at path, written, canonical string) {
		if first, twice := seen[canonical]; twice {
			is := ""
			if written != canonical {
				is = " (" + strings.TrimPrefix(canonical, "mx ") + ")"
			}
			l.bad(at, "%s%s is there already%s", quote(written), is, l.onLine(path{"domains", first}))
			return
		}
		seen[canonical] = i
	}
	switch {
	case e.Name != "" && len(e.MX) > 0:
		l.bad(path{"domains", i, "mx"}, "given beside name; want one of them")
	case e.Name == "" && len(e.MX) == 0:
		l.bad(path{"domains", i}, "want a name such as example.org, or mx with the hosts that serve a domain")
	case e.Name != "" && len(e.Except) > 0:
		l.bad(path{"domains", i, "except"}, "goes with mx only")
	case e.Name != "":
		l.named(&d, path{"domains", i, "name"}, e.Name, once)
	}
	for j, text := range e.MX {
		at := path{"domains", i, "mx", j}
		host, err := settings.ParseDomain(text) // RFC 1035 section 3.3.9: a name, never an address
		if err != nil {
			l.bad(at, "%s: want the host name of a mail exchanger, such as mx.example.org", quote(text))
			continue
		}
		once(at, text, "mx "+host)
		d.MX = append(d.MX, host)
	}
	for j, text := range e.Except {
		name, err := settings.ParseDomain(text)
		if err != nil {
			l.bad(path{"domains", i, "except", j}, "%v", err)
		}
		d.Except = append(d.Except, name)
	}
	return d
}

// named reads a domain or a wildcard.
func (l *loader) named(d *Domain, at path, text string, once func(at path, written, canonical string)) {
	below, wild := strings.CutPrefix(text, "*.")
	name, err := settings.ParseDomain(below)
	switch {
	case err != nil && strings.Contains(text, "*"):
		l.bad(at, `%s: a wildcard is "*." and a domain of two labels or more, such as "*.customers.example"`, quote(text))
		return
	case err != nil:
		l.bad(at, "%v", err)
		return
	case !wild:
		d.Name = name
		once(at, text, name)
		return
	}
	d.Wildcard = name
	once(at, text, "*."+name)
	if suffix, icann := publicsuffix.PublicSuffix(name); icann && suffix == name {
		l.warn(at, "%s: everybody can register a domain there; is it yours?", text)
	}
}

// onLine says where a path is in the file.
func (l *loader) onLine(p path) string {
	if line := l.problem(p, "").Line; line > 0 {
		return fmt.Sprintf(", on line %d", line)
	}
	return ""
}
