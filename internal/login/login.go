// Package login tries, with an account of the operator's, whether users can log in to a
// mail service as clients would be told: with which form of the user name, the whole
// address or the local part, and whether the password that the server offers to take is
// taken at all. Nothing else proves either.
//
//   - [Check] logs in to one service as a mail client would: submission by AUTH (RFC
//     4954) on go-smtp; IMAP (RFC 9051), POP3 (RFC 1939, RFC 5034) and ManageSieve (RFC
//     5804) by a few lines of its own.
//   - [Checker] does that for the declared accounts, at a pace that neither locks an
//     account out nor gets us banned.
//
// A password is sent only inside TLS whose certificate has passed all that the prober
// asks for: connections come from an [Opener], and there is no other way to one. After
// the login comes the goodbye: no mail is sent, no mailbox is opened, no message or
// script is read. POP3 locks a mailbox while a client is in it (RFC 1939 section 4), so
// the account should be one that nobody reads mail with.
//
// No word of a server is kept or shown, since a server could repeat the password in it,
// in whatever form: only its codes are, if they are known ones. The package has no log.
package login

import (
	"context"
	"net"
	"strings"
	"time"

	"mailconfd/settings"
)

// Opener opens a connection to a service on which TLS is on and the certificate has been
// verified: probe.Prober. With implicit TLS the greeting comes next. helo is the name
// for EHLO.
type Opener interface {
	Open(ctx context.Context, s settings.Service) (conn net.Conn, helo string, failure *settings.Failure)
}

// checkTime is the most that a check may take; each connection has a limit of its own.
const checkTime = 3 * time.Minute

// Check logs in to a service with the declared form of the user name. The other form is
// tried, on a connection of its own, where that tells what to do: when the declared one
// is rejected, and when users log in with the local part, as clients without a document
// try the whole address first (RFC 6186 section 4). Neither is tried twice.
func Check(ctx context.Context, o Opener, s settings.Service, a Account, declared settings.Username) settings.Login {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	l := settings.Login{Service: s, Account: a.address.String(), Tried: time.Now()}
	first := try(ctx, o, s, a, declared)
	note(&l, declared, first)
	other := settings.UsernameAddress
	switch {
	case first.kind == settings.FailureLoginRefused, first.outcome == settings.LoginUntried:
		return l // the other form would tell nothing
	case declared == settings.UsernameAddress && first.outcome == settings.LoginAccepted:
		return l
	case declared == settings.UsernameAddress:
		other = settings.UsernameLocalPart
	}
	note(&l, other, try(ctx, o, s, a, other))
	return l
}

// note writes down what a try came to. The account may change while it goes on, and what
// was seen belongs to the one before: the moment is that of the beginning.
func note(l *settings.Login, u settings.Username, got answer) {
	form := "the whole address: "
	if u == settings.UsernameLocalPart {
		l.LocalPart, form = got.outcome, "the local part: "
	} else {
		l.Address = got.outcome
	}
	if got.outcome != settings.LoginUntried {
		l.At = l.Tried
	}
	switch {
	case got.outcome == settings.LoginAccepted:
	case got.outcome == settings.LoginRejected && l.Failure == nil:
		l.Failure = &settings.Failure{Kind: got.kind, Detail: form + got.detail}
	case got.outcome == settings.LoginRejected:
		l.Failure = &settings.Failure{Kind: got.kind, Detail: l.Failure.Detail + "; " + form + got.detail}
	case l.Failure == nil:
		l.Failure = &settings.Failure{Kind: got.kind, Detail: got.detail}
	}
}

// answer is what a server said to one login.
type answer struct {
	outcome settings.LoginOutcome
	kind    settings.FailureKind // why it was not accepted
	detail  string               // no word of the server's is in it
}

func accepted() answer { return answer{outcome: settings.LoginAccepted} }

// unanswered is a login of which nothing was learnt.
func unanswered(kind settings.FailureKind, detail string) answer {
	return answer{kind: kind, detail: detail}
}

// refused is a login that is rejected whatever user name and password are.
func refused(detail string) answer {
	return answer{settings.LoginRejected, settings.FailureLoginRefused, detail}
}

// rejected judges a refusal by the server's words. code is what may be shown of it.
func rejected(code, text string) answer {
	text = strings.ToLower(text)
	for _, r := range refusals {
		if strings.Contains(text, r.words) {
			return refused("answered " + code + ", " + r.means)
		}
	}
	for _, words := range passing {
		if strings.Contains(text, words) {
			return unanswered(settings.FailureTemporary, "answered "+code+", for now")
		}
	}
	return answer{settings.LoginRejected, settings.FailureLoginRejected, "answered " + code}
}

// refusals are the words of servers that take no password, or not this kind of one,
// however right it is.
var refusals = [...]struct{ words, means string }{
	{"basic authentication is disabled", "basic authentication is disabled"},           // Microsoft 365, 535 5.7.139
	{"smtpclientauthentication is disabled", "SMTP client authentication is disabled"}, // Microsoft 365, 535 5.7.139
	{"basicauthblocked", "basic authentication is blocked"},                            // Microsoft 365, IMAP and POP3
	{"application-specific password", "an application-specific password is wanted"},    // Gmail, 534 5.7.9
	{"app-specific password", "an application-specific password is wanted"},            // iCloud
}

// passing are words with which servers refuse for the moment; older ones have no code
// for it.
var passing = [...]string{"too many", "try again", "later", "temporar", "busy", "rate limit"}

// try logs in once.
func try(ctx context.Context, o Opener, s settings.Service, a Account, u settings.Username) answer {
	if s.Scheme.WellKnown() != "" {
		return unanswered(settings.FailureLocal, "nobody logs in over HTTP yet")
	}
	conn, helo, failure := o.Open(ctx, s)
	if failure != nil {
		return unanswered(failure.Kind, a.without(failure.Detail, failure.Kind))
	}
	w := &witness{Conn: conn}
	defer w.Close()
	c := credentials{user: a.user(u), password: a.password()}
	implicit := s.Security() == settings.ImplicitTLS
	switch s.Role() {
	case settings.RoleSubmission:
		return submission(w, helo, implicit, c)
	case settings.RoleIMAP:
		return imapLogin(w, implicit, c)
	case settings.RolePOP3:
		return pop3(w, implicit, c)
	default:
		return sieve(w, c)
	}
}

// credentials are one user name with the password.
type credentials struct{ user, password string }

// plain is the message of SASL PLAIN (RFC 4616 section 2).
func (c credentials) plain() []byte { return []byte("\x00" + c.user + "\x00" + c.password) }
