package lab

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailconfd/settings"
)

// Fault is a failure that the lab can show for a service: a kind, and which of the
// ways to show it. Comparable; the zero Fault is none.
type Fault struct {
	Kind    settings.FailureKind
	Variant string // "" is the usual way
}

// The variants. Faults tells which kind has which.
const (
	VariantConnect    = "connect"     // timeout: the connection is never accepted
	VariantSilent     = "silent"      // timeout: accepted, and not a byte
	VariantHTTP       = "http"        // protocol: a web server instead of an SSH server
	VariantLate       = "late"        // starttls_injection: after the client began the handshake
	VariantAlert      = "alert"       // tls: every handshake is refused with an alert
	VariantSelfSigned = "self_signed" // certificate_untrusted: no issuer but itself
	VariantSTARTTLS   = "starttls"    // temporary: the answer to STARTTLS
	VariantClose      = "close"       // temporary: accepted and closed without a byte
)

// String returns the word for --break: "KIND" or "KIND/VARIANT".
func (f Fault) String() string {
	if f.Variant == "" {
		return string(f.Kind)
	}
	return string(f.Kind) + "/" + f.Variant
}

// Does says what a server that has the fault does, as a clause whose subject is
// that server; empty for a fault that the lab cannot show.
func (f Fault) Does() string {
	for _, s := range shows() {
		if s.fault == f {
			return s.does
		}
	}
	return ""
}

// Faults returns the faults that make sense for a service with the security, in the
// order in which a dialogue would meet them.
func Faults(security settings.Security) []Fault {
	var all []Fault
	for _, s := range shows() {
		if s.only == "" || s.only == security {
			all = append(all, s.fault)
		}
	}
	return all
}

// showing is how a fault is shown.
type showing struct {
	fault Fault
	only  settings.Security // "": any
	does  string
	apply func(*script, dialogue) // nil: the route or the certificate shows it, not what the server says
}

// shows is the one table of faults. Where TLS is implicit, greetings and what stands in
// their place are sent inside it.
func shows() []showing {
	return []showing{
		{Fault{Kind: settings.FailureUnreachable}, "", "has an address that the network cannot reach", nil},
		{Fault{Kind: settings.FailureRefused}, "", "does not run: its port refuses connections", nil},
		{Fault{Kind: settings.FailureTimeout}, "", "is a tar pit: it drips its greeting a byte at a time and never ends the line", opening(drip)},
		{Fault{settings.FailureTimeout, VariantSilent}, "", "accepts connections and never sends a byte, TLS included", before(silence)},
		{Fault{settings.FailureTimeout, VariantConnect}, "", "is behind a firewall that drops packets: connecting gets no answer", nil},
		{Fault{Kind: settings.FailureReset}, "", "greets and resets the connection at the first command", opening(resetAfterGreeting)},
		{Fault{Kind: settings.FailureTooLong}, "", "sends a greeting of 10 MB: SMTP and ManageSieve in many lines, IMAP and POP3 in one", opening(flood)},
		{Fault{Kind: settings.FailureProtocol}, "", "greets as an SSH server", opening(say("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"))},
		{Fault{settings.FailureProtocol, VariantHTTP}, "", "answers as a web server that waited too long for a request", opening(say(httpTimeout))},
		{Fault{Kind: settings.FailureTemporary}, "", "asks in its greeting to come back later: 421, * BYE [UNAVAILABLE], -ERR [SYS/TEMP], BYE (TRYLATER)", func(s *script, d dialogue) { s.opening = say(d.busy) }},
		{Fault{settings.FailureTemporary, VariantClose}, "", "accepts connections and closes them without a byte", before(hangUp)},
		{Fault{settings.FailureTemporary, VariantSTARTTLS}, settings.STARTTLS, "offers STARTTLS and answers that TLS is not available for now: 454, NO [UNAVAILABLE], -ERR [SYS/TEMP], NO (TRYLATER)", func(s *script, _ dialogue) { s.busyTLS = true }},
		{Fault{Kind: settings.FailureGreeting}, "", "turns every client away with its greeting: 554, * BYE, -ERR [SYS/PERM], BYE", func(s *script, d dialogue) { s.opening = say(d.refusal) }},
		{Fault{Kind: settings.FailurePlaintextOnTLSPort}, settings.ImplicitTLS, "starts in plaintext and offers STARTTLS on its TLS port", func(s *script, _ dialogue) { s.implicit, s.starttls = false, true }},
		{Fault{Kind: settings.FailureTLSOnPlaintextPort}, settings.STARTTLS, "speaks TLS from the first byte on its STARTTLS port", func(s *script, _ dialogue) { s.implicit, s.starttls = true, false }},
		{Fault{Kind: settings.FailureNoSTARTTLS}, settings.STARTTLS, "does not offer STARTTLS, refuses it (502, BAD, -ERR, NO) and offers passwords in clear", noSTARTTLS},
		{Fault{Kind: settings.FailureSTARTTLSInjection}, settings.STARTTLS, "sends more plaintext in one segment with its answer to STARTTLS", func(s *script, _ dialogue) { s.injects = sameSegment }},
		{Fault{settings.FailureSTARTTLSInjection, VariantLate}, settings.STARTTLS, "sends more plaintext after its answer to STARTTLS, when the handshake has begun", func(s *script, _ dialogue) { s.injects = afterwardOnly }},
		{Fault{Kind: settings.FailureTLS}, "", "knows TLS 1.0 and 1.1 only", withTLS(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })},
		{Fault{settings.FailureTLS, VariantAlert}, "", "refuses every TLS handshake with the alert internal_error", withTLS(refuseHandshake)},
		{Fault{Kind: settings.FailureClientCertificate}, "", "speaks TLS 1.3 and wants a certificate from the client, which shows at the client's first read", withTLS(wantCertificate)},
		{Fault{Kind: settings.FailureCertificateName}, "", "has a certificate for another host", nil},
		{Fault{Kind: settings.FailureCertificateExpired}, "", "has a certificate that expired yesterday", nil},
		{Fault{Kind: settings.FailureCertificateNotYet}, "", "has a certificate that is valid from tomorrow", nil},
		{Fault{Kind: settings.FailureCertificateChain}, "", "does not send its intermediate certificate", nil},
		{Fault{Kind: settings.FailureCertificateRoot}, "", "has a certificate from an authority that nobody trusts", nil},
		{Fault{settings.FailureCertificateRoot, VariantSelfSigned}, "", "has a certificate that it signed itself", nil},
		{Fault{Kind: settings.FailureNoAuth}, "", "offers no way to log in inside TLS: no AUTH line, LOGINDISABLED, no USER, an empty SASL", mechanisms()},
		{Fault{Kind: settings.FailureOAuthOnly}, "", "offers XOAUTH2 and OAUTHBEARER only", mechanisms("XOAUTH2", "OAUTHBEARER")},
	}
}

const httpTimeout = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

func opening(do func(*session) bool) func(*script, dialogue) {
	return func(s *script, _ dialogue) { s.opening = do }
}

func before(do func(*session) bool) func(*script, dialogue) {
	return func(s *script, _ dialogue) { s.open = do }
}

func mechanisms(names ...string) func(*script, dialogue) {
	return func(s *script, _ dialogue) { s.mechanisms = names }
}

func noSTARTTLS(s *script, _ dialogue) {
	s.starttls, s.clearMechanisms = false, passwordMechanisms()
}

func withTLS(change func(*tls.Config)) func(*script, dialogue) {
	return func(s *script, _ dialogue) {
		s.tls = s.tls.Clone()
		change(s.tls)
	}
}

// refuseHandshake makes crypto/tls send the alert internal_error (RFC 8446, section 6.2).
func refuseHandshake(c *tls.Config) {
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return nil, errors.New("no handshake is let through")
	}
}

// wantCertificate makes crypto/tls send the alert certificate_required after the
// handshake has ended for the client (RFC 8446, section 4.4.2.4).
func wantCertificate(c *tls.Config) {
	c.MinVersion = tls.VersionTLS13
	c.ClientAuth = tls.RequireAnyClientCert
}

// onRoute tells whether the fault is one of the connection, before any server.
func (f Fault) onRoute() bool {
	return f.Kind == settings.FailureRefused || f.Kind == settings.FailureUnreachable ||
		f == Fault{settings.FailureTimeout, VariantConnect}
}

// check refuses a fault that a service with the security cannot have. The error lists
// those that it can.
func (f Fault) check(security settings.Security) error {
	can := Faults(security)
	if slices.Contains(can, f) {
		return nil
	}
	return fmt.Errorf("%s; possible are %s", f.whyNot(), strings.Join(words(can), ", "))
}

// whyNot says what is wrong with a fault that a service cannot have.
func (f Fault) whyNot() string {
	switch {
	case f.Does() != "":
		return fmt.Sprintf("%s makes no sense there", f)
	case f.Kind == settings.FailureDNS || f.Kind == settings.FailureLocal:
		return fmt.Sprintf("no server can show %s", f.Kind)
	case f.Kind == settings.FailureLoginRejected || f.Kind == settings.FailureLoginRefused:
		return fmt.Sprintf("only a login meets %s", f.Kind)
	}
	return fmt.Sprintf("no fault %q", f)
}

func words(faults []Fault) []string {
	all := make([]string, len(faults))
	for i, fault := range faults {
		all[i] = fault.String()
	}
	return all
}

// scriptFor returns the server that shows the fault, which must have passed check and
// not be on the route.
func scriptFor(service settings.Service, fault Fault, config *tls.Config, ca *CA) (scripted, error) {
	server := healthy(service, config)
	for _, s := range shows() {
		if s.fault == fault && s.apply != nil {
			s.apply(&server.script, server.dialogue)
			return server, nil
		}
	}
	cert, err := ca.Flawed(fault, service.Host)
	if err != nil {
		return scripted{}, err
	}
	server.script.tls = &tls.Config{Certificates: []tls.Certificate{cert}}
	return server, nil
}
