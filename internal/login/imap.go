package login

import (
	"errors"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailconfd/settings"
)

// imapLogin logs in by AUTHENTICATE or LOGIN (RFC 9051 section 6.2), and says LOGOUT.
func imapLogin(w *witness, implicit bool, c credentials) answer {
	conn := greet(w, "* OK TLS is on\r\n")
	if implicit {
		conn = w
	}
	client := imapclient.New(conn, nil)
	defer client.Close()
	if err := client.WaitGreeting(); err != nil {
		return imapRefusal(w, "greeting", err)
	}
	if client.State() != imap.ConnStateNotAuthenticated {
		return unanswered(settings.FailureProtocol, "greeting: the server takes us for somebody who has logged in")
	}
	caps := client.Caps()
	if caps == nil {
		return w.broken("CAPABILITY")
	}
	var err error
	switch {
	case caps.Has("AUTH=PLAIN"):
		err = client.Authenticate(plainMechanism(c))
	case caps.Has("AUTH=LOGIN"):
		err = client.Authenticate(&loginMechanism{credentials: c})
	case caps.Has(imap.CapLoginDisabled): // RFC 9051 section 7.2.2: LOGIN must not be tried
		return noMechanism()
	default:
		err = client.Login(c.user, c.password).Wait()
	}
	got := accepted()
	if err != nil {
		got = imapRefusal(w, "login", err)
	}
	defer time.AfterFunc(goodbye, func() { _ = w.Close() }).Stop()
	_ = client.Logout().Wait()
	return got
}

// imapCodes are the response codes that may be shown (RFC 9051 section 7.1, RFC 5530).
var imapCodes = []imap.ResponseCode{
	imap.ResponseCodeAlert, imap.ResponseCodeAuthenticationFailed, imap.ResponseCodeAuthorizationFailed, imap.ResponseCodeContactAdmin,
	imap.ResponseCodeExpired, imap.ResponseCodeInUse, imap.ResponseCodeLimit, imap.ResponseCodeNoPerm, imap.ResponseCodePrivacyRequired,
	imap.ResponseCodeServerBug, imap.ResponseCodeUnavailable,
}

// imapRefusal judges what go-imap returned in place of success. NO rejects a login, apart
// from the codes that say something else (RFC 5530); BAD is about the command.
func imapRefusal(w *witness, doing string, err error) answer {
	var status *imap.Error
	switch {
	case !errors.As(err, &status):
		return w.broken(doing)
	case status.Type != imap.StatusResponseTypeNo || doing != "login":
		return unanswered(settings.FailureProtocol, doing+": refused, and not for the user name or password")
	}
	code := "NO"
	if slices.Contains(imapCodes, status.Code) {
		code += " [" + string(status.Code) + "]"
	}
	switch status.Code {
	case imap.ResponseCodeUnavailable, imap.ResponseCodeInUse, imap.ResponseCodeLimit, imap.ResponseCodeServerBug:
		return unanswered(settings.FailureTemporary, "answered "+code)
	case imap.ResponseCodePrivacyRequired:
		return unanswered(settings.FailureProtocol, "answered "+code+" inside TLS")
	}
	return rejected(code, status.Text)
}
