package lab

import (
	"crypto/tls"
	"io"
	"log"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/emersion/go-sasl"
)

// newIMAPServer starts an IMAP server (RFC 9051) on go-imap, with an empty INBOX in
// memory for the one user.
func newIMAPServer(config *tls.Config, l *logins) *server {
	mailbox := imapmemserver.NewUser(User, Password)
	_ = mailbox.Create("INBOX", nil) // fails only for a name that is taken
	s := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return &imapSession{mailbox: mailbox, logins: l}, nil, nil
		},
		Caps:      imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}},
		TLSConfig: config,
		Logger:    log.New(io.Discard, "", 0),
	})
	return new(server).run(s.Serve, func() { _ = s.Close() })
}

// imapSession is one session of the IMAP server.
type imapSession struct {
	*imapmemserver.UserSession // nil before the login
	mailbox                    *imapmemserver.User
	logins                     *logins
}

// Login opens the user's mailbox.
func (s *imapSession) Login(user, password string) error {
	if !s.logins.admits(user, password) {
		return imapserver.ErrAuthFailed
	}
	s.UserSession = imapmemserver.NewUserSession(s.mailbox)
	return nil
}

// Append keeps nothing: whoever knows the password, which is no secret, could fill the
// memory.
func (*imapSession) Append(string, imap.LiteralReader, *imap.AppendOptions) (*imap.AppendData, error) {
	return nil, &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeOverQuota, Text: "the lab keeps no mail"}
}

// AuthenticateMechanisms returns what is offered inside TLS.
func (*imapSession) AuthenticateMechanisms() []string { return passwordMechanisms() }

// Authenticate starts a login.
func (s *imapSession) Authenticate(mechanism string) (sasl.Server, error) {
	if exchange := newSASL(mechanism, s.Login); exchange != nil {
		return exchange, nil
	}
	return nil, &imap.Error{Type: imap.StatusResponseTypeNo, Text: "Unsupported authentication mechanism."}
}

// imapDialogue is how the scripted server speaks IMAP: as Dovecot 2.3 does.
func imapDialogue() dialogue {
	return dialogue{
		greeting: func(s *session) string {
			return "* OK [CAPABILITY " + imapCapabilities(s) + "] Dovecot (Debian) ready.\r\n"
		},
		refusal:  "* BYE IMAP is not offered on this host.\r\n",
		busy:     "* BYE [UNAVAILABLE] Too many connections, try again later.\r\n", // RFC 5530
		flood:    "* OK Dovecot (Debian) is about to be ready, and says so at length ",
		injected: "* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=LOGIN\r\n",
		answer:   answerIMAP,
	}
}

func imapCapabilities(s *session) string {
	words := []string{"IMAP4rev1", "SASL-IR", "LOGIN-REFERRALS", "ID", "ENABLE", "IDLE", "LITERAL+"}
	if s.mayUpgrade() {
		words = append(words, "STARTTLS")
	}
	if !s.offersPassword() {
		words = append(words, "LOGINDISABLED")
	}
	for _, mechanism := range s.mechanisms() {
		words = append(words, "AUTH="+mechanism)
	}
	return strings.Join(words, " ")
}

func answerIMAP(s *session, line string) (string, step) {
	tag, rest, _ := strings.Cut(line, " ")
	verb, _, _ := strings.Cut(rest, " ")
	switch strings.ToUpper(verb) {
	case "CAPABILITY":
		return "* CAPABILITY " + imapCapabilities(s) + "\r\n" +
			tag + " OK Pre-login capabilities listed, post-login capabilities have more.\r\n", stay
	case "STARTTLS":
		return imapSTARTTLS(s, tag)
	case "LOGIN", "AUTHENTICATE":
		return refuseIMAPLogin(s, tag), stay
	case "ID":
		return "* ID (\"name\" \"Dovecot\")\r\n" + tag + " OK ID completed.\r\n", stay
	case "NOOP":
		return tag + " OK NOOP completed.\r\n", stay
	case "LOGOUT":
		return "* BYE Logging out\r\n" + tag + " OK Logout completed.\r\n", leave
	}
	return tag + " BAD Error in IMAP command received by server.\r\n", stay
}

// refuseIMAPLogin lets nobody in; in clear it says that the password is now known.
func refuseIMAPLogin(s *session, tag string) string {
	switch {
	case s.offersPassword():
		return tag + " NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
	case s.secure():
		return tag + " NO Unsupported authentication mechanism.\r\n"
	}
	return "* BAD [ALERT] Plaintext authentication not allowed without SSL/TLS, but your client did it anyway. " +
		"If anyone was listening, the password was exposed.\r\n" +
		tag + " NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.\r\n"
}

func imapSTARTTLS(s *session, tag string) (string, step) {
	switch {
	case s.secure():
		return tag + " BAD TLS is already active.\r\n", stay
	case !s.mayUpgrade():
		return tag + " BAD TLS support isn't enabled.\r\n", stay
	case s.script.busyTLS:
		return tag + " NO [UNAVAILABLE] TLS is not available for now.\r\n", stay
	}
	return tag + " OK Begin TLS negotiation now.\r\n", upgrade
}
