package doctor

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"mailconfd/settings"
)

// settingOf returns a service as a client would set it up.
func settingOf(s settings.Service, username, source string) Setting {
	security := SecuritySTARTTLS
	if s.Security() == settings.ImplicitTLS {
		security = SecurityTLS
	}
	return Setting{Role: s.Role(), Host: s.Host, Port: s.Port, Security: security, Username: username, Source: source}
}

// guessesAtOnce is how many usual names are tried at the same time: most of a domain
// that publishes nothing do not answer.
const guessesAtOnce = 4

// attempt is a service that a client tried because it is published, and that did not
// work.
type attempt struct {
	settings.Service
	failure *settings.Failure // nil: the client cannot log in there
}

// untested tells an attempt that says nothing about the service.
func (a attempt) untested() bool { return a.failure != nil && kindOf(a.failure.Kind).untested() }

// subjects are what the findings of the services are about.
func subjects(of []attempt) []string {
	var all []string
	for _, a := range of {
		if s := a.String(); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// list names the services.
func list(of []attempt) string { return strings.Join(limit(subjects(of), 3), ", ") }

// failed remembers that a published service did not work for a client, and says what was
// seen.
func (v *visit) failed(s Setting, service settings.Service, failure *settings.Failure) string {
	if s.Source != guess {
		v.broken = append(v.broken, attempt{service, failure})
	}
	if failure == nil {
		return "offers no way to log in that this client knows"
	}
	return failure.String()
}

// firstGuess is firstWorking for usual names, which are looked at side by side.
func (v *visit) firstGuess(tries []Setting) (Setting, bool) {
	var group errgroup.Group
	group.SetLimit(guessesAtOnce)
	for _, s := range tries {
		if service, encrypted := s.Service(); encrypted && v.exists(s.Host) {
			group.Go(func() error {
				v.probe(service)
				return nil
			})
		}
	}
	_ = group.Wait() // what was seen is remembered
	return v.firstWorking(tries)
}

// exists tells whether a host is an address or has one.
func (v *visit) exists(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || len(v.lookUp(host, TypeA).Records)+len(v.lookUp(host, TypeAAAA).Records) > 0
}

// firstWorking returns the first of some settings that works. Hosts that have no
// address are passed over; what would not be encrypted ends the search, since nothing
// here can tell whether it works.
func (v *visit) firstWorking(tries []Setting) (Setting, bool) {
	for _, s := range tries {
		if !v.exists(s.Host) {
			continue
		}
		service, encrypted := s.Service()
		if !encrypted {
			return s, true
		}
		verdict := v.probe(service).Verdict()
		works := verdict.Verified && v.client.logsIn(s, verdict.Auth)
		saw := "works"
		if !works {
			saw = v.failed(s, service, verdict.Failure)
		}
		v.note("try "+service.String(), saw, 0)
		if works {
			return s, true
		}
	}
	return Setting{}, false
}
