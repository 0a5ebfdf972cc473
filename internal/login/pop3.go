package login

import (
	"strings"

	"mailconfd/settings"
)

// pop3 logs in by AUTH PLAIN (RFC 5034) or USER and PASS (RFC 1939 section 7), and says
// QUIT, which changes nothing as nothing is marked as deleted.
func pop3(w *witness, implicit bool, c credentials) answer {
	l := newLines(w)
	defer l.leave("QUIT")
	l.allow(patience)
	if implicit {
		if line, err := l.hear(); err != nil || !isOK(line) {
			return l.pop3Refusal("greeting", line, err)
		}
	}
	plain, user, err := l.pop3Offers()
	if err != nil {
		return l.broken("CAPA")
	}
	var line string
	switch {
	case plain:
		// The message comes after the go-ahead: as an initial response it may be too long
		// (RFC 5034 section 4).
		if line, err = l.ask("AUTH PLAIN"); err != nil || line != "+" && !strings.HasPrefix(line, "+ ") {
			return l.pop3Refusal("AUTH", line, err)
		}
		line, err = l.ask(encode(c.plain()))
	case user:
		if line, err = l.ask("USER " + c.user); err == nil && isOK(line) {
			line, err = l.ask("PASS " + c.password)
		}
	default:
		return noMechanism()
	}
	if err != nil || !isOK(line) {
		return l.pop3Refusal("login", line, err)
	}
	return accepted()
}

func isOK(line string) bool { return line == "+OK" || strings.HasPrefix(line, "+OK ") }

// pop3Offers asks what there is to log in with (RFC 2449). A server that does not know
// CAPA has USER.
func (l *lines) pop3Offers() (plain, user bool, err error) {
	line, err := l.ask("CAPA")
	if err != nil || !isOK(line) {
		return false, true, err
	}
	for {
		if line, err = l.hear(); err != nil || line == "." {
			return plain, user, err
		}
		words := strings.Fields(strings.ToUpper(line))
		for i, word := range words {
			user = user || i == 0 && word == "USER"
			plain = plain || i > 0 && words[0] == "SASL" && word == "PLAIN"
		}
	}
}

// pop3Refusal judges an answer that is not +OK, by the response codes of RFC 2449
// section 8.1 and RFC 3206.
func (l *lines) pop3Refusal(doing, line string, err error) answer {
	text, refused := strings.CutPrefix(line, "-ERR")
	if err != nil || !refused {
		return l.broken(doing)
	}
	code := "-ERR"
	for _, known := range []string{"AUTH", "IN-USE", "LOGIN-DELAY", "SYS/TEMP", "SYS/PERM"} {
		if strings.HasPrefix(strings.ToUpper(strings.TrimSpace(text)), "["+known+"]") {
			code += " [" + known + "]"
		}
	}
	switch {
	case strings.HasSuffix(code, "-USE]"), strings.HasSuffix(code, "-DELAY]"), strings.HasSuffix(code, "TEMP]"):
		return unanswered(settings.FailureTemporary, doing+": answered "+code)
	case strings.HasSuffix(code, "PERM]"), doing != "login":
		return unanswered(settings.FailureProtocol, doing+": answered "+code)
	}
	return rejected(code, text)
}
