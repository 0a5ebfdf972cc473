package doctor

import (
	"net/netip"

	"mailconfd/settings"
)

// guess tries the usual host names and ports, as clients do that have found nothing: the
// first service that works, implicit TLS before STARTTLS, IMAP before POP3.
func (v *visit) guess(incoming, outgoing []string) []Setting {
	var found []Setting
	for _, try := range []struct {
		hosts   []string
		schemes []settings.Scheme
	}{
		{incoming, []settings.Scheme{settings.SchemeIMAPS, settings.SchemeIMAP, settings.SchemePOP3S, settings.SchemePOP3}},
		{outgoing, []settings.Scheme{settings.SchemeSubmissions, settings.SchemeSubmission}},
	} {
		if s, ok := v.guessOne(try.hosts, try.schemes); ok {
			found = append(found, s)
		}
	}
	if len(found) > 0 {
		v.find(finding(KindGuess, v.client.title+" finds nothing published and guesses", ""))
	}
	return found
}

// guessOne returns the first of the hosts and schemes that works.
func (v *visit) guessOne(hosts []string, schemes []settings.Scheme) (Setting, bool) {
	var tries []Setting
	for _, scheme := range schemes {
		for _, host := range hosts {
			tries = append(tries, settingOf(settings.Service{Scheme: scheme, Host: host, Port: scheme.DefaultPort()}, v.address.String(), "guess"))
		}
	}
	return v.firstWorking(tries)
}

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
