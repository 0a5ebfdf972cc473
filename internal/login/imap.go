package login

import (
	"fmt"
	"slices"
	"strings"

	"mailconfd/settings"
)

// imap is IMAP (RFC 9051). It has lines of its own: the reader of go-imap v2.0.0-beta.8
// never ends at "* CAPABILITY (", and nobody can stop it.
type imap struct {
	*lines
	commands int
}

// status is how a server has answered a command (RFC 9051 section 7.1).
type status struct {
	word string // OK, NO, BAD
	code string // the first word in brackets, in capitals, or ""
	text string
	caps []string // that were listed on the way, in capitals
}

// imapLogin logs in by AUTHENTICATE or LOGIN (RFC 9051 section 6.2), and says LOGOUT.
func imapLogin(w *witness, implicit bool, c credentials) answer {
	i := &imap{lines: newLines(w)}
	defer i.leave("z LOGOUT")
	i.allow(patience)
	if implicit {
		line, err := i.phrase()
		switch word, _, _ := strings.Cut(strings.TrimPrefix(line, "* "), " "); {
		case err != nil || !strings.HasPrefix(line, "* "):
			return i.broken("greeting")
		case strings.EqualFold(word, "PREAUTH"):
			return unanswered(settings.FailureProtocol, "greeting: the server takes us for somebody who has logged in")
		case !strings.EqualFold(word, "OK"):
			return unanswered(settings.FailureProtocol, "greeting: the server does not let us in")
		}
	}
	offer, err := i.command("CAPABILITY")
	if err != nil || offer.word != "OK" {
		return i.broken("CAPABILITY")
	}
	var s status
	switch has := func(name string) bool { return slices.Contains(offer.caps, name) }; {
	case has("AUTH=PLAIN"):
		s, err = i.command("AUTHENTICATE PLAIN", encode(c.plain()))
	case has("AUTH=LOGIN"):
		s, err = i.command("AUTHENTICATE LOGIN", encode([]byte(c.user)), encode([]byte(c.password)))
	case has("LOGINDISABLED"): // RFC 9051 section 7.2.2: LOGIN must not be tried
		return noMechanism()
	default:
		// As literals, so that nothing in them needs a quote.
		s, err = i.command(fmt.Sprintf("LOGIN {%d}", len(c.user)), fmt.Sprintf("%s {%d}", c.user, len(c.password)), c.password)
	}
	switch {
	case err != nil:
		return i.broken("login")
	case s.word == "OK":
		return accepted()
	}
	return s.refusal()
}

// command sends a command, and each of the parts that follow when the server asks for it
// (RFC 9051 section 7.5). It reads up to the tagged answer.
func (i *imap) command(line string, parts ...string) (s status, err error) {
	i.allow(patience)
	i.commands++
	tag := fmt.Sprintf("a%d ", i.commands)
	if err := i.say(tag + line); err != nil {
		return s, err
	}
	for {
		line, err := i.phrase()
		if err != nil {
			return s, err
		}
		switch {
		case strings.HasPrefix(line, tag):
			s.finish(line[len(tag):])
			return s, nil
		case line == "+" || strings.HasPrefix(line, "+ "):
			if len(parts) == 0 {
				return s, errNotProtocol
			}
			if err := i.say(parts[0]); err != nil {
				return s, err
			}
			parts = parts[1:]
		case !strings.HasPrefix(line, "* "):
			return s, errNotProtocol
		default:
			if words := strings.Fields(strings.ToUpper(line[2:])); len(words) > 0 && words[0] == "CAPABILITY" {
				s.caps = append(s.caps, words[1:]...)
			}
		}
	}
}

// finish reads what stands behind the tag.
func (s *status) finish(text string) {
	s.word, s.text, _ = strings.Cut(text, " ")
	s.word = strings.ToUpper(s.word)
	if code, _, ok := strings.Cut(s.text, "]"); ok && strings.HasPrefix(code, "[") {
		code, _, _ = strings.Cut(code[1:], " ")
		s.code = strings.ToUpper(code)
	}
}

// imapCodes are the response codes that may be shown (RFC 9051 section 7.1, RFC 5530).
var imapCodes = []string{
	"ALERT", "AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "CONTACTADMIN", "EXPIRED", "INUSE", "LIMIT", "NOPERM", "PRIVACYREQUIRED",
	"SERVERBUG", "UNAVAILABLE",
}

// refusal judges an answer that is not OK. NO rejects a login, apart from the codes that
// say something else (RFC 5530); BAD is about the command.
func (s status) refusal() answer {
	if s.word != "NO" {
		return unanswered(settings.FailureProtocol, "login: refused, and not for the user name or password")
	}
	code := "NO"
	if slices.Contains(imapCodes, s.code) {
		code += " [" + s.code + "]"
	}
	switch s.code {
	case "UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG":
		return unanswered(settings.FailureTemporary, "login: answered "+code)
	case "PRIVACYREQUIRED":
		return unanswered(settings.FailureProtocol, "login: answered "+code+" inside TLS")
	}
	return rejected(code, s.text)
}
