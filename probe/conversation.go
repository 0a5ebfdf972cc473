package probe

import (
	"context"
	"strings"
	"time"

	"mailconfd/settings"
)

// protocol is what differs between the protocols. Each method is called where the
// protocol allows it, and its error holds a failure.
type protocol interface {
	// greeting reads what the server says first.
	greeting(*dialogue) error
	// capabilities asks what the server offers, before TLS and again inside it.
	capabilities(*dialogue) (capabilities, error)
	// starttls asks for TLS and reads the go-ahead.
	starttls(*dialogue) error
	// goodbye takes leave; what comes of it does not matter.
	goodbye(*dialogue) error
}

// newProtocol returns the protocol of a role for one dialogue.
func newProtocol(role settings.Role, helo string) protocol {
	switch role {
	case settings.RoleSubmission:
		return &smtp{helo: helo}
	case settings.RoleIMAP:
		return &imap{}
	case settings.RolePOP3:
		return &pop3{}
	case settings.RoleSieve:
		return &sieve{}
	}
	return nil // over HTTP there are no lines
}

// capabilities are what a server says that it offers.
type capabilities struct {
	unlisted  bool // the server lists nothing; STARTTLS has to be tried
	starttls  bool
	auth      settings.Mechanisms
	cleartext string // before TLS: why a client could send its password now; "" if it could not
	remark    string // what else was seen that matters
}

// conversation is one dialogue in the order that is common to all protocols. What is met
// first is what counts.
type conversation struct {
	*dialogue
	visit      *visit
	protocol   protocol
	legacy     bool
	intolerant bool
	tls        *settings.TLS
	auth       settings.Mechanisms
}

// hold goes from the greeting to the ways to log in.
func (c *conversation) hold() error {
	steps := []func() error{c.greet, c.startTLS, c.upgrade, c.judge}
	if c.visit.service.Security() == settings.ImplicitTLS {
		steps = []func() error{c.upgrade, c.greet, c.judge}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// greet reads the greeting. Nothing is sent before it is complete (RFC 5321 section
// 4.3.1).
func (c *conversation) greet() error {
	timeouts := c.visit.prober.options.Timeouts
	start := time.Now()
	if !c.secure {
		if c.silent(timeouts.Silence) && c.speaksTLS() {
			return fail(settings.FailureTLSOnPlaintextPort, "no greeting within %s, but a TLS handshake is answered", timeouts.Silence)
		}
		if first, ok := c.began(); ok && isTLSRecord(first) {
			return fail(settings.FailureTLSOnPlaintextPort, "the greeting is a TLS record: %q", c.unread())
		}
	}
	c.allow(start, timeouts.Greeting)
	if err := c.protocol.greeting(c.dialogue); err != nil {
		return c.inWords(err)
	}
	c.open = true
	c.rest()
	return nil
}

// startTLS gets as far as the go-ahead for TLS.
func (c *conversation) startTLS() error {
	before, err := c.protocol.capabilities(c.dialogue)
	if err != nil {
		return err
	}
	if before.cleartext != "" {
		c.warn(settings.WarnCleartextLogin, before.cleartext)
	}
	if !before.starttls && !before.unlisted {
		return fail(settings.FailureNoSTARTTLS, "STARTTLS is not offered%s", before.remark)
	}
	if err := c.protocol.starttls(c.dialogue); err != nil {
		return err
	}
	// Whoever can write into the connection could slip in an answer that we would take
	// for one given inside TLS (CVE-2011-0411 and its relatives for clients).
	if extra := c.unread(); extra != "" {
		c.open = false
		return fail(settings.FailureSTARTTLSInjection, "%d octets came along with the answer to STARTTLS: %q", len(extra), extra)
	}
	return nil
}

// judge asks again, inside TLS, and looks whether there is a way to log in. What was
// said before TLS is forgotten (RFC 3207 section 4.2, RFC 9051 section 6.2.1, RFC 2595
// section 4, RFC 5804 section 2.2).
func (c *conversation) judge() error {
	offer, err := c.protocol.capabilities(c.dialogue)
	if err != nil {
		return c.inWords(err)
	}
	if offer.starttls {
		c.warn(settings.WarnSTARTTLSTwice, "STARTTLS is offered inside TLS")
	}
	c.auth = offer.auth
	offered := strings.Join(offer.auth, " ")
	switch offer.auth.Password() {
	case settings.PasswordEncrypted:
		c.warn(settings.WarnEncryptedOnly, "offered is "+offered)
	case settings.PasswordCleartext:
		c.warnCleartext(offered)
	default:
		return noPassword(offer.auth)
	}
	return nil
}

// noPassword is the failure of a server that offers no way to log in with a password.
func noPassword(offered settings.Mechanisms) error {
	kind, words := settings.FailureNoAuth, strings.Join(offered, " ")
	if offered.OAuth() {
		kind = settings.FailureOAuthOnly
	}
	if words == "" {
		words = "nothing to log in with"
	}
	return fail(kind, "offered inside TLS: %s", words)
}

// inWords looks whether a refusal is about the certificate that the server asked us for:
// Postfix 3.7 finishes the handshake without one and answers the next command with 421.
func (c *conversation) inWords(err error) error {
	failure := failureOf(err)
	if c.asked && strings.Contains(strings.ToLower(failure.Detail), "certificate") {
		return fail(settings.FailureClientCertificate, "%s", failure.Detail)
	}
	return err
}

// warnCleartext looks at what stands beside PLAIN, LOGIN or the protocol's own command.
func (c *conversation) warnCleartext(offered string) {
	if c.auth.OAuth() {
		c.warn(settings.WarnPasswordDoubtful, "offered is "+offered)
	}
	if c.visit.service.Role() == settings.RoleSubmission && !has(c.auth, "LOGIN") {
		c.warn(settings.WarnNoAuthLogin, "offered is "+offered)
	}
}

// speaksTLS tries on a second connection whether the server waits for a TLS handshake,
// while the first goes on waiting for a greeting. It is the only time that there are
// two: a server that delays its greeting must not lose the time that it has waited.
func (c *conversation) speaksTLS() bool {
	patience := c.visit.prober.options.Timeouts.Silence
	c.transcript.note("no greeting within %s; trying TLS on a second connection", patience)
	conn, err := c.visit.connect(c.ctx, patience)
	if err != nil {
		return false
	}
	defer conn.Close()
	defer context.AfterFunc(c.ctx, func() { _ = conn.Close() })()
	second := newDialogue(c.ctx, conn, c.end, &transcript{})
	second.allow(time.Now(), patience)
	_, err = c.handshake(second, false)
	// A refusal in TLS is TLS too; a server that answers in clear has a slow greeting.
	first, ok := second.began()
	return err == nil || ok && isTLSRecord(first)
}
