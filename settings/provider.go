package settings

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// Provider is what an operator declares: one set of mail services, and how its
// users log in. Many domains can share one. Check it before use.
type Provider struct {
	Name        string // what the operator calls it; in logs and metrics
	DisplayName string // for people; empty: the domain
	ShortName   string // for people; empty: DisplayName, shortened
	Services    []Service
	Trusted     []Trust
	NotOffered  []Role // RolePOP3, RoleIMAP: deliberately absent
	Username    Username
	// AcceptsAddress says, where users log in with the local part, that the whole
	// address is taken too. SRV records cannot say which form is right, and clients
	// try the whole address first (RFC 6186 section 4).
	AcceptsAddress bool
}

// Trust is a service that the operator vouches for where probing is impossible.
type Trust struct {
	Service Service
	Reason  string // why; shown wherever the service is
}

// Limits of draft-ietf-mailmaint-autoconfig-06, in characters.
const (
	MaxDisplayName = 60
	MaxShortName   = 20
)

// Candidates returns the services that may be published, as written and each
// once: Services, then Trusted.
func (p Provider) Candidates() []Service {
	var all []Service
	add := func(s Service) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for _, s := range p.Services {
		add(s)
	}
	for _, t := range p.Trusted {
		add(t.Service)
	}
	return all
}

// SaysAddress tells whether a client that simply tries the whole address as user
// name gets in: what SRV records presume.
func (p Provider) SaysAddress() bool {
	return p.Username != UsernameLocalPart || p.AcceptsAddress
}

// Names returns what people are shown for a domain: the declared names, or the
// domain itself. Both keep within the limits of the formats.
func (p Provider) Names(domain string) (display, short string) {
	display = cmp.Or(p.DisplayName, domain)
	short = cmp.Or(p.ShortName, display)
	return shorten(display, MaxDisplayName), shorten(short, MaxShortName)
}

// shorten cuts a text to n characters, without a space at the cut.
func shorten(text string, n int) string {
	for i := range text {
		if n == 0 {
			return strings.TrimRight(text[:i], " ")
		}
		n--
	}
	return text
}

// Problem is one thing that is wrong with a declared provider.
type Problem struct {
	Key  string // the configuration key, such as "short_name" or "services"
	Text string // what was seen, what was expected
}

// Check returns everything that is wrong with the provider, nil when it is fit
// for use. What passes here can be carried by every format.
func (p Provider) Check() []Problem {
	var problems []Problem
	bad := func(key, format string, args ...any) {
		problems = append(problems, Problem{key, fmt.Sprintf(format, args...)})
	}
	checkText(bad, "name", p.Name, 64)
	if p.Name == "" {
		bad("name", "a provider needs a name, such as main")
	}
	checkText(bad, "display_name", p.DisplayName, MaxDisplayName)
	checkText(bad, "short_name", p.ShortName, MaxShortName)
	if len(p.Candidates()) == 0 {
		bad("hosts", "a provider needs hosts, such as [mail.example.org], or services, such as [imaps://imap.example.org]")
	}
	if p.Username != UsernameAddress && p.Username != UsernameLocalPart {
		bad("username", "%q: want address (jane@example.org logs in as jane@example.org) or localpart (as jane)", string(p.Username))
	}
	for _, s := range p.Services {
		checkService(bad, "services", s)
	}
	for _, t := range p.Trusted {
		checkService(bad, "trusted", t.Service)
		checkText(bad, "trusted", t.Reason, 200)
		if t.Reason == "" {
			bad("trusted", "%s: a service that is published unseen needs a reason", t.Service)
		}
	}
	for _, r := range p.NotOffered {
		switch {
		case r != RolePOP3 && r != RoleIMAP:
			bad("not_offered", "%q: want pop3 or imap", string(r))
		case slices.ContainsFunc(p.Trusted, func(t Trust) bool { return t.Service.Role() == r }):
			bad("not_offered", "%s is said not to be offered and is trusted as well", r)
		}
	}
	return problems
}

type badFunc func(key, format string, args ...any)

func checkText(bad badFunc, key, text string, most int) {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unusable):
		bad(key, "%q holds a control character or one that XML cannot carry", text)
	case strings.TrimSpace(text) != text:
		bad(key, "%q begins or ends with a space", text)
	case utf8.RuneCountInString(text) > most:
		bad(key, "%q has %d characters; %d fit", text, utf8.RuneCountInString(text), most)
	case strings.Contains(text, "%EMAIL") || strings.Contains(text, "%REALNAME%"):
		bad(key, "%q holds a placeholder, which only some clients expand there", text)
	}
}

func checkService(bad badFunc, key string, s Service) {
	switch _, err := netip.ParseAddr(s.Host); {
	case s.Scheme.Role() == "" || s.Host == "" || s.Port == 0:
		bad(key, "%s: not a service", s)
	case err == nil:
		bad(key, "%s: clients check the certificate against a host name; give the name, not the address", s)
	case !strings.Contains(s.Host, "."):
		bad(key, "%s: a host that clients everywhere can find has at least two labels, such as mail.example.org", s)
	}
}
