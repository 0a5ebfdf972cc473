package doctor

import (
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

func (v *visit) guessOne(hosts []string, schemes []settings.Scheme) (Setting, bool) {
	for _, scheme := range schemes {
		for _, host := range hosts {
			if len(v.lookUp(host, TypeA).Records)+len(v.lookUp(host, TypeAAAA).Records) == 0 {
				continue
			}
			service := settings.Service{Scheme: scheme, Host: host, Port: scheme.DefaultPort()}
			verdict := v.probe(service).Verdict()
			saw := "works"
			if !verdict.Verified {
				saw = verdict.Failure.String()
			}
			v.note("try "+service.String(), saw, 0)
			if verdict.Verified {
				security := SecuritySTARTTLS
				if scheme.Security() == settings.ImplicitTLS {
					security = SecurityTLS
				}
				return Setting{Role: scheme.Role(), Host: host, Port: service.Port, Security: security, Username: v.address.String(), Source: "guess"}, true
			}
		}
	}
	return Setting{}, false
}
