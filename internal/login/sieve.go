package login

import (
	"strings"
	"time"

	"mailconfd/settings"
)

// sieveUnasked is how long a server has to send its capabilities again after STARTTLS
// (RFC 5804 section 2.2); some old ones wait to be asked.
const sieveUnasked = 5 * time.Second

// sieve logs in by AUTHENTICATE "PLAIN" (RFC 5804 section 2.1), and says LOGOUT.
func sieve(w *witness, c credentials) answer {
	l := newLines(w)
	defer l.leave("LOGOUT")
	l.allow(sieveUnasked)
	_, err := l.text.Peek(1)
	l.allow(patience)
	if err != nil {
		l.forgive() // what has ended for good says so again
		_ = l.say("CAPABILITY")
	}
	final, offered, err := l.sieveResponse()
	switch {
	case err != nil:
		return l.broken("capabilities")
	case !strings.HasPrefix(final, "OK"):
		return l.sieveRefusal("capabilities", final)
	case !offered:
		return noMechanism()
	}
	l.allow(patience)
	if err = l.say(`AUTHENTICATE "PLAIN" "` + encode(c.plain()) + `"`); err == nil {
		final, _, err = l.sieveResponse()
	}
	switch {
	case err != nil:
		return l.broken("AUTHENTICATE")
	case !strings.HasPrefix(final, "OK"):
		return l.sieveRefusal("login", final)
	}
	return accepted()
}

// sieveResponse reads up to OK, NO or BYE, and returns that line, its literals put into it
// and the word in capitals. plain tells whether SASL PLAIN was among the capabilities.
func (l *lines) sieveResponse() (final string, plain bool, err error) {
	for {
		line, err := l.phrase()
		if err != nil {
			return "", false, err
		}
		word, rest, _ := strings.Cut(line, " ")
		switch word = strings.ToUpper(word); {
		case word == "OK" || word == "NO" || word == "BYE":
			return word + " " + rest, plain, nil
		case word == `"SASL"`:
			for _, name := range strings.FieldsFunc(strings.ToUpper(rest), func(r rune) bool { return r == '"' || r == ' ' }) {
				plain = plain || name == "PLAIN"
			}
		case !strings.HasPrefix(line, `"`):
			return "", false, errNotProtocol
		}
	}
}

// sieveRefusal judges NO and BYE, by the response codes of RFC 5804 section 1.3.
func (l *lines) sieveRefusal(doing, final string) answer {
	word, text, _ := strings.Cut(final, " ")
	code := word
	for _, known := range []string{"AUTH-TOO-WEAK", "ENCRYPT-NEEDED", "REFERRAL", "TRANSITION-NEEDED", "TRYLATER"} {
		if strings.HasPrefix(strings.ToUpper(text), "("+known) {
			code += " (" + known + ")"
		}
	}
	switch {
	case strings.HasSuffix(code, "(TRYLATER)"):
		return unanswered(settings.FailureTemporary, doing+": answered "+code)
	case code != "NO" || doing != "login":
		return unanswered(settings.FailureProtocol, doing+": answered "+code)
	}
	return rejected(code, text)
}
