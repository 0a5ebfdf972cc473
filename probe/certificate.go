package probe

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// expiresSoon is how long before its end a certificate is worth a warning.
const expiresSoon = 14 * 24 * time.Hour

// JudgeCertificate decides whether a client can trust, for the host, the chain that a
// server sent. Faults are looked for in a fixed order, and the first one is the failure:
// name, expired, not yet valid, chain, root. So a self-signed certificate of another
// name is one of another name, and an expired one from an unknown root has expired; the
// detail tells the rest. A certificate without a fault can deserve warnings.
func (p *Prober) JudgeCertificate(host string, chain []*x509.Certificate) (*settings.Failure, []settings.Warning) {
	if len(chain) == 0 {
		return failureOf(fail(settings.FailureTLS, "the server sent no certificate")), nil
	}
	now := p.options.Now()
	leaf := chain[0]
	faults := faultsOf(leaf, host, now)
	// A certificate that is out of its time is judged as of the nearest moment within.
	at := now
	if at.After(leaf.NotAfter) {
		at = leaf.NotAfter
	} else if at.Before(leaf.NotBefore) {
		at = leaf.NotBefore
	}
	private, fault := p.verify(chain, at)
	// At such a moment the issuer's certificate may have been out of its time too.
	if fault != nil && (at.Equal(now) || fault.Kind != settings.FailureCertificateExpired) {
		faults = append(faults, *fault)
	}
	if len(faults) > 0 {
		return failureOf(asFailure(faults)), nil
	}
	var warnings []settings.Warning
	if private {
		warnings = append(warnings, settings.Warning{Kind: settings.WarnPrivateRoot, Detail: "the certificate of " + host + " leads to a root that only we were told to trust"})
	}
	if left := leaf.NotAfter.Sub(now); left < expiresSoon {
		warnings = append(warnings, settings.Warning{Kind: settings.WarnCertificateExpires, Detail: "it expires at " + moment(leaf.NotAfter)})
	}
	return nil, warnings
}

// judgeCertificate takes the judgement into the conversation.
func (c *conversation) judgeCertificate(chain []*x509.Certificate) error {
	failure, warnings := c.visit.prober.JudgeCertificate(c.visit.service.Host, chain)
	if failure != nil {
		return (*failed)(failure)
	}
	for _, w := range warnings {
		c.warn(w.Kind, w.Detail)
	}
	return nil
}

// faultsOf looks at the certificate alone. Names are those of subjectAltName; the common
// name does not count, and a wildcard stands for one whole left-most label (RFC 9525
// section 6.3).
func faultsOf(leaf *x509.Certificate, host string, now time.Time) []settings.Failure {
	var faults []settings.Failure
	if err := leaf.VerifyHostname(host); err != nil {
		names := strings.Join(namesOf(leaf), ", ")
		if names == "" {
			names = "no name in subjectAltName"
		}
		faults = append(faults, settings.Failure{Kind: settings.FailureCertificateName, Detail: fmt.Sprintf("want %s, the certificate is for %s", host, names)})
	}
	if now.After(leaf.NotAfter) {
		faults = append(faults, settings.Failure{Kind: settings.FailureCertificateExpired, Detail: "the certificate expired at " + moment(leaf.NotAfter)})
	}
	if now.Before(leaf.NotBefore) {
		faults = append(faults, settings.Failure{Kind: settings.FailureCertificateNotYet, Detail: "the certificate is valid from " + moment(leaf.NotBefore)})
	}
	return faults
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// asFailure makes the first fault the failure, and lets it mention the others.
func asFailure(faults []settings.Failure) error {
	detail := faults[0].Detail
	for _, also := range faults[1:] {
		detail += "; also " + string(also.Kind)
	}
	return fail(faults[0].Kind, "%s", detail)
}

// verify follows the chain to a root: one that clients have, else one that only we were
// told to trust.
func (p *Prober) verify(chain []*x509.Certificate, at time.Time) (private bool, fault *settings.Failure) {
	options := x509.VerifyOptions{Roots: p.options.Roots, Intermediates: x509.NewCertPool(), CurrentTime: at}
	for _, cert := range chain[1:] {
		options.Intermediates.AddCert(cert)
	}
	_, err := chain[0].Verify(options)
	if err == nil {
		return false, nil
	}
	if options.Roots = p.options.Extra; options.Roots != nil {
		_, private := chain[0].Verify(options)
		if private == nil {
			return true, nil
		}
		// Whichever root is the right one, a reason beside "unknown" says more.
		if errors.As(err, new(x509.UnknownAuthorityError)) {
			err = private
		}
	}
	return false, chainFault(chain, err)
}

// chainFault tells a missing intermediate from an unknown root. The server's own
// certificate tells: if it is signed by another, and that other was not sent, the
// intermediate is missing, for a root does not sign servers' certificates directly
// anywhere but in small private networks. If it was sent, or the certificate has signed
// itself, what is missing is trust.
func chainFault(chain []*x509.Certificate, err error) *settings.Failure {
	leaf := chain[0]
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return &settings.Failure{
			Kind:   settings.FailureCertificateExpired,
			Detail: fmt.Sprintf("an issuer's certificate is out of its time: %s, %s to %s", invalid.Cert.Subject, moment(invalid.Cert.NotBefore), moment(invalid.Cert.NotAfter)),
		}
	case !errors.As(err, new(x509.UnknownAuthorityError)):
		return &settings.Failure{Kind: settings.FailureCertificateRoot, Detail: err.Error()}
	case bytes.Equal(leaf.RawIssuer, leaf.RawSubject):
		return &settings.Failure{Kind: settings.FailureCertificateRoot, Detail: "the certificate has signed itself"}
	case !slices.ContainsFunc(chain[1:], func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, leaf.RawIssuer) }):
		return &settings.Failure{
			Kind:   settings.FailureCertificateChain,
			Detail: fmt.Sprintf("the server sends %d certificate(s), and not that of the issuer, %s; if that one is a root, it is not trusted here", len(chain), leaf.Issuer),
		}
	}
	top := chain[len(chain)-1]
	return &settings.Failure{Kind: settings.FailureCertificateRoot, Detail: fmt.Sprintf("the chain ends at %s, issued by %s, which is no root that is trusted", top.Subject, top.Issuer)}
}
