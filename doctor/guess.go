package doctor

import (
	"net/netip"

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

// firstWorking returns the first of some settings that works. Hosts that have no
// address are passed over; what would not be encrypted ends the search, since nothing
// here can tell whether it works.
func (v *visit) firstWorking(tries []Setting) (Setting, bool) {
	for _, s := range tries {
		if _, err := netip.ParseAddr(s.Host); err != nil && len(v.lookUp(s.Host, TypeA).Records)+len(v.lookUp(s.Host, TypeAAAA).Records) == 0 {
			continue
		}
		service, encrypted := s.Service()
		if !encrypted {
			return s, true
		}
		verdict := v.probe(service).Verdict()
		works := verdict.Verified && v.client.logsIn(s, verdict.Auth)
		saw := "works"
		switch {
		case !verdict.Verified:
			saw = verdict.Failure.String()
		case !works:
			saw = "offers no way to log in that this client knows"
		}
		v.note("try "+service.String(), saw, 0)
		if works {
			return s, true
		}
	}
	return Setting{}, false
}
