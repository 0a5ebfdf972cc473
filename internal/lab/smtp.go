package lab

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Limits of the submission servers.
const (
	smtpPatience     = 5 * time.Minute // RFC 5321, section 4.5.3.2.7
	smtpMessageBytes = 10_240_000      // Postfix's default message_size_limit
)

// newSMTPServer starts a submission server (RFC 6409) on go-smtp. It takes mail from
// the one user, over TLS only, and throws it away.
func newSMTPServer(config *tls.Config, l *logins) *server {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &submission{logins: l}, nil
	}))
	s.Domain = Host
	s.TLSConfig = config
	s.ReadTimeout, s.WriteTimeout = smtpPatience, smtpPatience
	s.MaxMessageBytes = smtpMessageBytes
	s.EnableSMTPUTF8 = true
	s.ErrorLog = log.New(io.Discard, "", 0)
	// Shutdown waits for the sessions; the ports have cut their connections before.
	return new(server).run(s.Serve, func() { _ = s.Shutdown(context.Background()) })
}

// submission is one session of the submission server.
type submission struct {
	logins *logins
	in     bool
}

// errBasicAuth is how Microsoft 365 answers where basic authentication is switched off.
var errBasicAuth = &smtp.SMTPError{
	Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 139}, Message: "Authentication unsuccessful, basic authentication is disabled.",
}

// AuthMechanisms returns what is offered inside TLS.
func (*submission) AuthMechanisms() []string { return passwordMechanisms() }

// Auth starts a login.
func (s *submission) Auth(mechanism string) (sasl.Server, error) {
	exchange := newSASL(mechanism, func(user, password string) error {
		switch {
		case s.logins.shut():
			return errBasicAuth
		case !s.logins.admits(user, password):
			return smtp.ErrAuthFailed
		}
		s.in = true
		return nil
	})
	if exchange == nil {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	return exchange, nil
}

// Mail takes a sender, after a login only (RFC 4954, section 6).
func (s *submission) Mail(string, *smtp.MailOptions) error {
	if !s.in {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	return nil
}

// Rcpt takes any recipient.
func (*submission) Rcpt(string, *smtp.RcptOptions) error { return nil }

// Data throws the message away.
func (*submission) Data(message io.Reader) error {
	_, err := io.Copy(io.Discard, message)
	return err
}

// Reset forgets nothing, as nothing is kept.
func (*submission) Reset() {}

// Logout ends the session.
func (*submission) Logout() error { return nil }

// smtpDialogue is how the scripted server speaks SMTP: as Postfix 3.7 does on a
// submission port.
func smtpDialogue() dialogue {
	return dialogue{
		greeting: func(*session) string { return "220 " + Host + " ESMTP Postfix (Debian)\r\n" },
		refusal:  "554 5.7.1 " + Host + " No SMTP service here\r\n",
		busy:     "421 4.7.0 " + Host + " Error: too many connections from 192.0.2.1\r\n",
		flood:    "220-" + Host + " ESMTP Postfix (Debian), a greeting of many lines\r\n",
		injected: "250-" + Host + "\r\n250 AUTH PLAIN LOGIN\r\n",
		answer:   answerSMTP,
	}
}

func answerSMTP(s *session, line string) (string, step) {
	verb, _, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		return ehlo(s), stay
	case "HELO":
		return "250 " + Host + "\r\n", stay
	case "STARTTLS":
		return smtpSTARTTLS(s)
	case "AUTH", "MAIL":
		if s.mayUpgrade() {
			return "530 5.7.0 Must issue a STARTTLS command first\r\n", stay
		}
		if len(s.mechanisms()) == 0 {
			return "503 5.5.1 Error: authentication not enabled\r\n", stay
		}
		return "535 5.7.8 Error: authentication failed: authentication failure\r\n", stay
	case "NOOP", "RSET":
		return "250 2.0.0 Ok\r\n", stay
	case "QUIT":
		return "221 2.0.0 Bye\r\n", leave
	}
	return "502 5.5.2 Error: command not recognized\r\n", stay
}

// ehlo lists what Postfix lists on 587, in its order.
func ehlo(s *session) string {
	lines := []string{Host, "PIPELINING", "SIZE 10240000", "VRFY", "ETRN"}
	if s.mayUpgrade() {
		lines = append(lines, "STARTTLS")
	}
	if mechanisms := s.mechanisms(); len(mechanisms) > 0 {
		lines = append(lines, "AUTH "+strings.Join(mechanisms, " "))
	}
	lines = append(lines, "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8")
	return "250-" + strings.Join(lines, "\r\n250-") + "\r\n250 CHUNKING\r\n"
}

func smtpSTARTTLS(s *session) (string, step) {
	switch {
	case s.secure():
		return "554 5.5.1 Error: TLS already active\r\n", stay
	case !s.mayUpgrade():
		return "502 5.5.1 Error: command not implemented\r\n", stay
	case s.script.busyTLS:
		return "454 4.7.0 TLS not available due to local problem\r\n", stay // RFC 3207, section 4
	}
	return "220 2.0.0 Ready to start TLS\r\n", upgrade
}
