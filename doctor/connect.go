package doctor

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"mailconfd/settings"
)

// connect tries what each client would set up, each service once, and adds to its
// report what does not work. A client with nothing to send with, or nothing to read
// with, has found nothing of use.
func (e *examination) connect(reports []ClientReport) {
	var wg sync.WaitGroup
	for i := range reports {
		wg.Go(func() { e.connectClient(&reports[i]) })
	}
	wg.Wait()
}

func (e *examination) connectClient(r *ClientReport) {
	if r.Verdict == Unknown {
		return
	}
	var c client
	for _, known := range clients {
		if known.name == r.Client {
			c = known
		}
	}
	sends, reads := false, false
	for i := range r.Settings {
		s := &r.Settings[i]
		sends = sends || s.Role == settings.RoleSubmission
		reads = reads || s.Role == settings.RoleIMAP || s.Role == settings.RolePOP3
		if strings.Contains(s.Username, "%") && !strings.Contains(e.address.Local, "%") {
			r.Findings = merge(r.Findings, finding(KindUsername, r.Title+" logs in as "+s.Username, "").of("login "+s.Username).from(aboutLogin))
		}
		if f, bad := e.try(c, s); bad {
			if s.Misread != "" {
				f.Weight, f.Detail, f.Remedy = Note, f.Detail+"; "+s.Misread, "tell users of "+c.title+" to correct it by hand"
			}
			r.Findings = append(r.Findings, f)
		}
	}
	switch {
	case slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind == KindNothingFound }):
		// The simulator has said it, and why.
	case len(r.Settings) == 0:
		r.lacks("no settings are found: the user is asked for everything", func(settings.Role) bool { return true })
	case !sends:
		r.lacks("no server for sending is found", func(role settings.Role) bool { return role == settings.RoleSubmission })
	case !reads:
		r.lacks("no server for reading mail is found", func(role settings.Role) bool { return role != settings.RoleSubmission })
	}
}

// lacks adds that a client has nothing for some roles. Where it tried what is published
// that is no lack of records or documents, and none at all if nobody can tell yet.
func (r *ClientReport) lacks(what string, roles func(settings.Role) bool) {
	f := finding(KindNothingFound, what, "")
	if tried := slices.DeleteFunc(slices.Clone(r.broken), func(a attempt) bool { return !roles(a.Role()) }); len(tried) > 0 {
		f.Detail = what + "; what is published does not work: " + list(tried)
		f.Remedy, f.follows = mendPublished, subjects(tried)
		if !slices.ContainsFunc(tried, func(a attempt) bool { return !a.untested() }) {
			f.Weight, f.Remedy = Note, "look again later, or from elsewhere"
		}
	}
	r.Findings = append(r.Findings, f)
}

// try probes a setting and returns what is wrong with it for this client.
func (e *examination) try(c client, s *Setting) (f Finding, bad bool) {
	if s.Security == SecurityAuto {
		e.settle(s)
	}
	service, encrypted := s.Service()
	if !encrypted {
		s.Failure = &settings.Failure{Kind: settings.FailureNoSTARTTLS, Detail: "the client would not encrypt"}
		return finding(KindPlaintext, fmt.Sprintf("%s %s port %d would be used without encryption (from %s)", s.Role, s.Host, s.Port, bare(s.Source)), "").of(s.place()), true
	}
	v := e.probe(service).Verdict()
	if v.Verified {
		if c.logsIn(*s, v.Auth) {
			s.Works = true
			return f, false
		}
		s.Failure = &settings.Failure{Kind: settings.FailureNoAuth, Detail: "offered: " + strings.Join(v.Auth, " ")}
		detail := fmt.Sprintf("%s offers %s, of which %s knows none", service, strings.Join(v.Auth, " "), c.title)
		if len(s.needs) > 0 {
			detail = fmt.Sprintf("%s offers %s; nothing but %s would be used", service, strings.Join(v.Auth, " "), strings.Join(s.needs, ", "))
		}
		return finding(KindNoPassword, detail, s.mend).of(service.String() + " " + strings.Join(s.needs, ",")).from(service.String()), true
	}
	s.Failure = v.Failure
	return e.broken(service, v, s.Source), true
}

// logsIn tells whether the client can log in with what a server offers.
func (c client) logsIn(s Setting, offered settings.Mechanisms) bool {
	switch {
	case len(s.needs) > 0:
		return slices.ContainsFunc(s.needs, func(m string) bool { return slices.Contains(offered, m) })
	case c.login != nil:
		return c.login(s.Role, offered)
	default:
		return offered.Password() != settings.NoPassword
	}
}

// settle decides for a client that tries implicit TLS and then STARTTLS.
func (e *examination) settle(s *Setting) {
	for _, security := range []Security{SecurityTLS, SecuritySTARTTLS} {
		tried := *s
		tried.Security = security
		service, _ := tried.Service()
		if e.probe(service).Verdict().Verified {
			s.Security = security
			return
		}
	}
	s.Security = SecurityTLS
}

// kindOf says what a failed probe means for a client that was sent there.
func kindOf(k settings.FailureKind) Kind {
	switch k {
	case settings.FailureDNS:
		return KindTargetNowhere
	case settings.FailureSTARTTLSInjection:
		return KindInjection
	case settings.FailureRefused, settings.FailureTimeout, settings.FailureUnreachable, settings.FailureReset:
		return KindNotReached
	case settings.FailureTLSOnPlaintextPort, settings.FailurePlaintextOnTLSPort, settings.FailureNoSTARTTLS:
		return KindOtherTLS
	case settings.FailureCertificateName:
		return KindCertificateName
	case settings.FailureCertificateExpired, settings.FailureCertificateNotYet, settings.FailureCertificateChain, settings.FailureCertificateRoot:
		return KindCertificate
	case settings.FailureNoAuth, settings.FailureOAuthOnly:
		return KindNoPassword
	case settings.FailureLocal:
		return KindNotTested
	case settings.FailureTemporary:
		return KindBusy
	default:
		return KindServer
	}
}
