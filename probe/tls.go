package probe

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"strings"
	"time"

	"mailconfd/settings"
)

// maxNames is how many names of a certificate are kept.
const maxNames = 20

// upgrade puts TLS on the connection and judges the certificate.
func (c *conversation) upgrade() error {
	c.open, c.secure = false, true
	c.wire.mark()
	c.allow(time.Now(), c.visit.prober.options.Timeouts.Handshake)
	conn, err := c.handshake(c.dialogue, c.legacy)
	if err != nil {
		return c.handshakeFailure(err)
	}
	c.conn, c.text = conn, bufio.NewReaderSize(conn, maxLine)
	c.rest()
	// Commands follow at once only where the greeting was before TLS.
	c.open = c.visit.service.Security() == settings.STARTTLS
	state := conn.ConnectionState()
	c.tls = TLSFacts(state)
	c.transcript.note("%s, %s, certificate for %s", c.tls.Version, c.tls.Cipher, strings.Join(c.tls.SubjectNames, ", "))
	return c.judgeCertificate(state.PeerCertificates)
}

// handshake speaks TLS on the dialogue's connection: 1.2 at least (RFC 8997), the
// service's host as SNI (RFC 6066 section 3). The certificate is judged afterwards by
// us, so that all its facts are known whatever is wrong with it.
func (c *conversation) handshake(d *dialogue, legacy bool) (*tls.Conn, error) {
	config := &tls.Config{
		ServerName:         c.visit.service.Host,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // judgeCertificate verifies
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			d.asked = true
			return new(tls.Certificate), nil // none
		},
	}
	if c.visit.service.Scheme.WellKnown() != "" {
		config.NextProtos = []string{"http/1.1"} // RFC 7301
	}
	if legacy {
		config.CurvePreferences, config.CipherSuites = legacyCurves, legacySuites
	}
	conn := tls.Client(d.wire, config)
	return conn, conn.HandshakeContext(d.ctx)
}

// What many mail clients offer and Go's client does not by itself: no post-quantum key
// share, so that the first packet is small, and RSA key exchange.
var (
	legacyCurves = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
	legacySuites = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	}
)

// handshakeFailure says what a failed handshake means.
func (c *conversation) handshakeFailure(err error) error {
	const doing = "TLS handshake"
	if text := leadingText(c.wire.head); text != "" {
		text, _, _ = strings.Cut(text, "\r\n")
		c.transcript.heard(text)
		if c.visit.service.Security() == settings.STARTTLS {
			// Late plaintext is an injection as much as early plaintext is.
			return fail(settings.FailureSTARTTLSInjection, "plaintext in place of the TLS handshake: %q", text)
		}
		return fail(settings.FailurePlaintextOnTLSPort, "plaintext in place of the TLS handshake: %q", text)
	}
	if head := c.wire.head; len(head) > 0 && !isTLSRecord(head[0]) && c.visit.service.Security() == settings.STARTTLS {
		return fail(settings.FailureSTARTTLSInjection, "what comes in place of the TLS handshake is no TLS: %q", head)
	}
	failure := c.broken(doing, err)
	switch kindOf(failure) {
	case settings.FailureReset, settings.FailureTimeout:
		c.intolerant = c.ctx.Err() == nil
	case settings.FailureTLS:
		c.intolerant = true
	}
	return failure
}

// leadingText returns the printable ASCII that stands where a TLS record should, or "".
// The first octet of a record is a control character (RFC 8446 section 5.1), so that a
// few printable ones leave no doubt; records of a handshake may follow them.
func leadingText(head []byte) string {
	end := bytes.IndexFunc(head, func(r rune) bool { return (r < ' ' || r > '~') && r != '\r' && r != '\n' && r != '\t' })
	if end < 0 {
		end = len(head)
	}
	if end < 4 && end < len(head) {
		return ""
	}
	return string(head[:end])
}

// isTLSRecord tells whether an octet begins a TLS record (RFC 8446 section 5.1); no
// greeting begins with one.
func isTLSRecord(first byte) bool { return first >= 20 && first <= 24 }

// TLSFacts returns what is kept of a handshake.
func TLSFacts(state tls.ConnectionState) *settings.TLS {
	t := &settings.TLS{Version: tls.VersionName(state.Version), Cipher: tls.CipherSuiteName(state.CipherSuite)}
	if len(state.PeerCertificates) == 0 {
		return t
	}
	leaf := state.PeerCertificates[0]
	digest := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	t.SPKISHA256 = hex.EncodeToString(digest[:])
	t.SubjectNames, t.Issuer = namesOf(leaf), printable(leaf.Issuer.String(), maxTranscriptLine)
	t.NotBefore, t.NotAfter = leaf.NotBefore, leaf.NotAfter
	return t
}

// namesOf returns the names in a certificate, host names before IP addresses.
func namesOf(cert *x509.Certificate) []string {
	var names []string
	for _, name := range cert.DNSNames {
		names = append(names, printable(name, maxTranscriptLine))
	}
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return names[:min(len(names), maxNames)]
}
