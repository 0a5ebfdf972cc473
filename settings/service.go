package settings

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Scheme names a kind of service by the label that its SRV records carry.
type Scheme string

// The schemes. RFC 6186 section 3 has submission, imap(s) and pop3(s); RFC 8314
// section 5.1 adds submissions; RFC 5804 section 1.8 has sieve; RFC 6764 section 3 has
// caldavs and carddavs, RFC 8620 section 2.2 jmap. There is no value for CalDAV and
// CardDAV without TLS.
const (
	SchemeSubmission  Scheme = "submission"
	SchemeSubmissions Scheme = "submissions"
	SchemeIMAP        Scheme = "imap"
	SchemeIMAPS       Scheme = "imaps"
	SchemePOP3        Scheme = "pop3"
	SchemePOP3S       Scheme = "pop3s"
	SchemeSieve       Scheme = "sieve"
	SchemeJMAP        Scheme = "jmap"
	SchemeCalDAVS     Scheme = "caldavs"
	SchemeCardDAVS    Scheme = "carddavs"
)

// Role is what a client needs a service for. Services of one role can stand in
// for each other. POP3 has a role of its own: a client that is told POP3 because
// IMAP is down for an hour would take the user's mail off the server.
type Role string

// The roles.
const (
	RoleSubmission Role = "submission"
	RoleIMAP       Role = "imap"
	RolePOP3       Role = "pop3"
	RoleSieve      Role = "sieve"
	RoleJMAP       Role = "jmap"
	RoleCalendar   Role = "calendar"
	RoleContacts   Role = "contacts"
)

// Roles returns every role, in the order in which they are told and printed:
// IMAP before POP3.
func Roles() []Role {
	return []Role{RoleSubmission, RoleIMAP, RolePOP3, RoleSieve, RoleJMAP, RoleCalendar, RoleContacts}
}

// Security is how a connection to a service becomes encrypted. There is no value
// for a connection that stays in clear: mailconfd never publishes one.
type Security string

// STARTTLS is the upgrade of a plaintext connection (RFC 3207, RFC 9051 section
// 6.2.1, STLS of RFC 2595 section 4, RFC 5804 section 2.2). ImplicitTLS is TLS from
// the first byte (RFC 8314 section 3).
const (
	STARTTLS    Security = "STARTTLS"
	ImplicitTLS Security = "implicit TLS"
)

// kind is what a scheme means.
type kind struct {
	scheme    Scheme
	role      Role
	security  Security
	port      uint16
	wellKnown string // of a service over HTTP
}

// kinds is the one table of schemes. Its order is the order of Candidates.
var kinds = []kind{
	{SchemeSubmission, RoleSubmission, STARTTLS, 587, ""},
	{SchemeSubmissions, RoleSubmission, ImplicitTLS, 465, ""},
	{SchemeIMAPS, RoleIMAP, ImplicitTLS, 993, ""},
	{SchemeIMAP, RoleIMAP, STARTTLS, 143, ""},
	{SchemePOP3S, RolePOP3, ImplicitTLS, 995, ""},
	{SchemePOP3, RolePOP3, STARTTLS, 110, ""},
	{SchemeSieve, RoleSieve, STARTTLS, 4190, ""},
	{SchemeJMAP, RoleJMAP, ImplicitTLS, 443, "/.well-known/jmap"},
	{SchemeCalDAVS, RoleCalendar, ImplicitTLS, 443, "/.well-known/caldav"},
	{SchemeCardDAVS, RoleContacts, ImplicitTLS, 443, "/.well-known/carddav"},
}

// PortSubmissionAlternate is the port that many providers offer beside 587, for
// networks that block 587. It has no assignment; the dialogue is that of 587.
const PortSubmissionAlternate = 2525

// Schemes returns every scheme.
func Schemes() []Scheme {
	all := make([]Scheme, len(kinds))
	for i, k := range kinds {
		all[i] = k.scheme
	}
	return all
}

// kind looks the scheme up; an unknown scheme has the zero kind.
func (s Scheme) kind() kind {
	for _, k := range kinds {
		if k.scheme == s {
			return k
		}
	}
	return kind{}
}

// Role returns what a client needs such a service for, or "" for an unknown scheme.
func (s Scheme) Role() Role { return s.kind().role }

// Security returns how such a service is encrypted, or "" for an unknown scheme.
func (s Scheme) Security() Security { return s.kind().security }

// DefaultPort returns the registered port, or 0 for an unknown scheme.
func (s Scheme) DefaultPort() uint16 { return s.kind().port }

// WellKnown returns the path at which such a service is asked for over HTTPS, whatever
// its own path may be (RFC 6764 section 5, RFC 8620 section 2.2); "" for a service that
// is not spoken over HTTP.
func (s Scheme) WellKnown() string { return s.kind().wellKnown }

// Service is one place where a client could be sent: a kind, a host and a port.
// It is comparable and serves as a map key; make one with ParseService or
// Candidates, which put the host into its canonical form.
type Service struct {
	Scheme Scheme
	Host   string // a host name in lower-case A-labels without a final dot, or an IP address
	Port   uint16
}

// Candidates returns the services that a host given without services is tried
// for: the seven default ports of mail and submission on 2525. Port 25 is relay, not
// submission, and is not among them. Services over HTTP have to be named: a mail host's
// web server is mostly there for something else.
func Candidates(host string) []Service {
	all := make([]Service, 0, len(kinds)+1)
	for _, k := range kinds {
		if k.wellKnown != "" {
			continue
		}
		all = append(all, Service{k.scheme, host, k.port})
		if k.scheme == SchemeSubmission {
			all = append(all, Service{k.scheme, host, PortSubmissionAlternate})
		}
	}
	return all
}

// Role returns what a client needs the service for.
func (s Service) Role() Role { return s.Scheme.Role() }

// Security returns how the service is encrypted.
func (s Service) Security() Security { return s.Scheme.Security() }

// OnDefaultPort tells whether the service listens where its scheme says. On any
// other port several clients guess the encryption from the port number alone.
func (s Service) OnDefaultPort() bool { return s.Port == s.Scheme.DefaultPort() }

// String returns the URL, always with the port: "imaps://imap.example.org:993".
func (s Service) String() string {
	return string(s.Scheme) + "://" + net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port)))
}

// MarshalText returns String's URL; nothing for the zero Service.
func (s Service) MarshalText() ([]byte, error) {
	if s == (Service{}) {
		return nil, nil
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads a URL as ParseService does; nothing is the zero Service.
func (s *Service) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = Service{}
		return nil
	}
	parsed, err := ParseService(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// Compare orders services by role, scheme, host and port: an order for output
// that must not change from run to run, not an order of preference.
func (s Service) Compare(t Service) int {
	at := func(s Scheme) int { return slices.Index(Schemes(), s) }
	return cmp.Or(cmp.Compare(at(s.Scheme), at(t.Scheme)), cmp.Compare(s.Host, t.Host), cmp.Compare(s.Port, t.Port))
}

// ParseService reads a service as people write it: "imaps://imap.example.org" or
// "submission://smtp.example.org:2525". A missing port is the scheme's default.
// Letter case does not matter and an internationalised host becomes A-labels. The
// error says what was expected.
func ParseService(text string) (Service, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return Service{}, fmt.Errorf("service %q: %w", text, errors.Unwrap(err))
	}
	scheme := Scheme(strings.ToLower(u.Scheme))
	switch {
	case u.Scheme == "" || u.Opaque != "" || u.Host == "":
		return Service{}, fmt.Errorf("service %q: want SCHEME://HOST[:PORT], such as imaps://imap.example.org", text)
	case scheme.Role() == "":
		return Service{}, fmt.Errorf("service %q: unknown scheme %q: %s", text, u.Scheme, meant(scheme))
	case scheme.WellKnown() != "" && strings.Trim(u.Path, "/") != "":
		return Service{}, fmt.Errorf("service %q: want no path: where the service is, is asked at https://%s%s, which has to lead there", text, u.Host, scheme.WellKnown())
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return Service{}, fmt.Errorf("service %q: nothing may follow the port, and no user name may stand before the host", text)
	}
	port := scheme.DefaultPort()
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return Service{}, fmt.Errorf("service %q: port %q is not a number from 1 to 65535", text, p)
		}
		port = uint16(n)
	}
	host, err := ParseHost(u.Hostname())
	if err != nil {
		return Service{}, fmt.Errorf("service %q: %w", text, err)
	}
	return Service{scheme, host, port}, nil
}

// meant says which scheme was probably meant by a word that is none.
func meant(s Scheme) string {
	switch s {
	case "smtp":
		return "submission (STARTTLS, 587) or submissions (implicit TLS, 465) was expected"
	case "smtps", "ssmtp", "smtp+tls":
		return "submissions (implicit TLS, 465) was expected"
	case "pop", "pop3+tls":
		return "pop3 (STLS, 110) or pop3s (implicit TLS, 995) was expected"
	case "pops", "pop3+ssl":
		return "pop3s (implicit TLS, 995) was expected"
	case "managesieve":
		return "sieve (STARTTLS, 4190) was expected"
	case "caldav", "carddav":
		return string(s) + "s (over HTTPS, 443) was expected"
	case "https", "dav", "davs":
		return "jmap, caldavs or carddavs (over HTTPS, 443) was expected"
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k.scheme)
	}
	return "one of " + strings.Join(names, ", ") + " was expected"
}

// ParseHost puts a host name into canonical form: lower-case A-labels without the
// final dot (RFC 5890 section 2.3.2.1). An IP address is taken as it is, without
// brackets and zone.
func ParseHost(text string) (string, error) {
	if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		if ip.Zone() != "" {
			return "", fmt.Errorf("host %q: an address with a zone means something on one machine only", text)
		}
		return ip.Unmap().String(), nil
	}
	return asciiName("host", text)
}
