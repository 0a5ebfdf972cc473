package config

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"mailconfd/settings"
)

// config checks the document and makes a Config of it. What it returns is of use only
// when no problem was noted.
func (l *loader) config() Config {
	d := l.doc
	c := Config{
		File:           l.file,
		Listen:         d.Listen,
		TrustedProxies: l.proxies(d.TrustedProxies),
		AdminListen:    d.AdminListen,
		State:          l.state(d.State),
		CanonicalHost:  l.canonicalHost(d.CanonicalHost),
		SelfCheck:      d.SelfCheck,
		Resolver:       l.resolver(d.Resolver),
		TLS:            l.tls(d.TLS),
		Probe:          l.probe(d.Probe),
		Policy:         l.policy(d.Policy, d.Probe.Interval),
	}
	l.listeners(d)
	c.Providers = l.providers(d.Providers)
	c.ProbeAccounts = l.probeAccounts(d.Providers)
	c.domains = l.domains(d.Domains, c.Providers)
	c.Publish = l.zones(d.Publish)
	l.unpublished(c)
	l.delegated(c)
	if l.file != "" && len(d.Providers)+len(d.Domains) == 0 {
		l.warnings = append(l.warnings, Problem{File: l.file, Text: "no providers and no domains: nothing will be published"})
	}
	return c
}

// proxies reads networks; an address alone is a network of one.
func (l *loader) proxies(texts []string) []netip.Prefix {
	var all []netip.Prefix
	for i, text := range texts {
		at := path{"trusted_proxies", i}
		p, err := netip.ParsePrefix(text)
		if ip, e := netip.ParseAddr(text); e == nil && ip.Zone() == "" {
			p, err = netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()), nil
		}
		switch {
		case err != nil || p.Addr().Is4In6():
			l.bad(at, "%s: want a network such as 192.0.2.0/24, or an address", quote(text))
		case p.Masked() != p:
			l.bad(at, "%s: an address inside a network; the network is %s, the address alone %s", text, p.Masked(), p.Addr())
		case p.Bits() == 0:
			l.warn(at, "%s: everybody is trusted to say whether a connection was encrypted", text)
		}
		all = append(all, p)
	}
	return all
}

// state checks the URL of a state. The message is without it: a password may stand there.
func (l *loader) state(text string) string {
	if text != "" && !isState(text) {
		l.bad(path{"state"}, "want sqlite:///PATH, postgres://USER@HOST/DATABASE or memory:, or nothing for the default place")
	}
	return text
}

// isState tells the URL of a state. What else may stand in one of PostgreSQL is between
// it and libpq's rules.
func isState(text string) bool {
	if text == "memory:" {
		return true
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return false
	case u.Scheme == "sqlite":
		return *u == url.URL{Scheme: u.Scheme, Path: u.Path, RawPath: u.RawPath} && strings.HasPrefix(u.Path, "/") && !strings.HasSuffix(u.Path, "/")
	default:
		return (u.Scheme == "postgres" || u.Scheme == "postgresql") && strings.HasPrefix(text, u.Scheme+"://")
	}
}

func (l *loader) canonicalHost(text string) string {
	if text == "" {
		return ""
	}
	host, err := settings.ParseDomain(text) // a host that clients reach is named as a mail domain is
	if err != nil {
		l.bad(path{"canonical_host"}, "%s: want a full host name such as autodiscover.example.org", quote(text))
	}
	return host
}

func (l *loader) resolver(text string) string {
	if text != "" && !isAddress(text, true) {
		l.bad(path{"resolver"}, "%s: want HOST:PORT of a DNS server, such as 192.0.2.53:53", quote(text))
	}
	return text
}

// listeners checks addresses to listen on. A port can be listened on once.
func (l *loader) listeners(d document) {
	seen := map[string]string{}
	check := func(at path, address string) {
		if !isAddress(address, false) {
			l.bad(at, "%s: want HOST:PORT such as 127.0.0.1:8080, or :8080 for every address", quote(address))
			return
		}
		if other, twice := seen[address]; twice {
			l.bad(at, "%s is listened on already, as %s says", quote(address), other)
		}
		if !strings.HasSuffix(address, ":0") {
			seen[address] = at.String()
		}
	}
	all := func(key path, addresses []string) {
		for i, a := range addresses {
			check(key.to(i), a)
		}
	}
	if d.AdminListen != "" {
		check(path{"admin_listen"}, d.AdminListen)
		if isPublic(d.AdminListen) {
			l.warn(path{"admin_listen"}, "%s may be open to everybody; metrics are not for the public", quote(d.AdminListen))
		}
	}
	if d.TLS.Mode == string(TLSFiles) { // listen is not opened then
		all(path{"tls", "listen"}, d.TLS.Listen)
		all(path{"tls", "http_listen"}, d.TLS.HTTPListen)
		return
	}
	all(path{"listen"}, d.Listen)
	if len(d.Listen) == 0 && !l.broken["listen"] {
		l.bad(path{"listen"}, "empty; with tls.mode off it is all that is listened on: want an address such as 127.0.0.1:8080")
	}
}

// isAddress tells HOST:PORT. To be connected to, it needs a host and a port above 0.
func isAddress(text string, toConnect bool) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || toConnect && (n == 0 || host == "") {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return true
	}
	_, err = settings.ParseHost(host)
	return err == nil
}

// isPublic tells an address to listen on that the whole internet may reach.
func isPublic(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && (ip.IsUnspecified() || ip.IsGlobalUnicast() && !ip.IsPrivate())
}

func (l *loader) tls(s tlsSection) TLS {
	t := TLS{Mode: TLSMode(s.Mode), Listen: s.Listen, HTTPListen: s.HTTPListen}
	for _, c := range s.Certificates {
		t.Certificates = append(t.Certificates, Certificate{l.beside(c.CertFile), l.beside(c.KeyFile)})
	}
	switch {
	case t.Mode == TLSOff && len(t.Certificates) > 0:
		l.warn(path{"tls", "certificates"}, "not used with tls.mode off; want tls.mode files")
	case t.Mode == TLSFiles && len(t.Certificates) == 0 && !l.broken["tls.certificates"]:
		l.bad(path{"tls", "mode"}, "files: want at least one entry in tls.certificates")
	case t.Mode == TLSFiles && len(t.Listen) == 0 && !l.broken["tls.listen"]:
		l.bad(path{"tls", "listen"}, "empty; want an address such as 0.0.0.0:443")
	}
	return t
}

// beside puts a relative path of the file beside the file.
func (l *loader) beside(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(l.file), name)
}

// Bounds of probe.interval: a mail server takes more rounds than one a minute for an
// attack, and locks us out.
const (
	minInterval  = time.Second
	fairInterval = time.Minute
)

func (l *loader) probe(s probeSection) Probe {
	at := func(key string) path { return path{"probe", key} }
	if l.from["probe.ca_file"] == "" {
		s.CAFile = l.beside(s.CAFile)
	}
	switch {
	case s.Interval < minInterval:
		l.bad(at("interval"), "%s: want %s or more, such as 15m", s.Interval, minInterval)
	case s.Interval < fairInterval:
		l.warn(at("interval"), "%s: mail servers may take so many connections for an attack", s.Interval)
	}
	if s.Via != "" && !isProxy(s.Via) {
		l.bad(at("via"), "%s: want socks5://HOST:PORT, without a user name", quote(s.Via))
	}
	if s.HELO != "" && !isHELO(s.HELO) {
		l.bad(at("helo"), "%s: want a full host name such as probe.example.org, or an address such as [192.0.2.1]", quote(s.HELO))
	}
	if s.Vantage == "" || len(s.Vantage) > 64 || strings.ContainsFunc(s.Vantage, notInName) {
		l.bad(at("vantage"), "%s: want a name of letters, digits, dots, hyphens and underscores, at most 64", quote(s.Vantage))
	}
	return Probe(s)
}

func isProxy(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "socks5" && isAddress(u.Host, true) && *u == url.URL{Scheme: u.Scheme, Host: u.Host}
}

// isHELO tells what EHLO may say: a full name or an address literal (RFC 5321 sections
// 2.3.5 and 4.1.3). Servers refuse localhost.
func isHELO(text string) bool {
	if literal, found := strings.CutPrefix(text, "["); found {
		literal, closed := strings.CutSuffix(literal, "]")
		literal, six := strings.CutPrefix(literal, "IPv6:")
		ip, err := netip.ParseAddr(literal)
		return closed && err == nil && ip.Zone() == "" && ip.Is6() == six
	}
	name, err := settings.ParseDomain(text)
	return err == nil && name == strings.ToLower(text)
}

func notInName(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_", r)
}

func (l *loader) policy(s policySection, interval time.Duration) settings.Policy {
	p := settings.Policy{
		SubmissionOrder: s.SubmissionOrder, MaxAge: s.MaxAge, WithdrawAfter: s.WithdrawAfter, WithdrawAfterTime: s.WithdrawAfterTime,
		Grace: s.Grace, Vantage: settings.VantagePolicy(s.Vantage),
	}
	for _, problem := range p.Check() {
		l.bad(path{"policy", problem.Key}, "%s", problem.Text)
	}
	if p.MaxAge < interval {
		l.warn(path{"policy", "max_age"}, "%s is less than probe.interval %s: before each round, what works counts as not fresh", p.MaxAge, interval)
	}
	return p
}
