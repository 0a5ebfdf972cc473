package login

import (
	"bufio"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"mailconfd/settings"
)

// lines is a conversation by lines, for the protocols that have no library here.
type lines struct {
	*witness
	text *bufio.Reader
}

func newLines(w *witness) *lines { return &lines{w, bufio.NewReaderSize(w, maxReply)} }

// leave says goodbye; what comes of it does not matter.
func (l *lines) leave(word string) {
	l.allow(goodbye)
	if l.say(word) == nil {
		_, _ = l.hear()
	}
}

// say sends a line.
func (l *lines) say(line string) error {
	_, err := io.WriteString(l.witness, line+"\r\n")
	return err
}

// hear reads a line, without its end.
func (l *lines) hear() (string, error) {
	line, err := l.text.ReadSlice('\n')
	return strings.TrimRight(string(line), "\r\n"), err
}

// ask sends a line and reads the answer's first.
func (l *lines) ask(line string) (string, error) {
	l.allow(patience)
	if err := l.say(line); err != nil {
		return "", err
	}
	return l.hear()
}

func encode(message []byte) string { return base64.StdEncoding.EncodeToString(message) }

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

var errNoResponse = errors.New("no response of ManageSieve")

// sieveResponse reads up to OK, NO or BYE, and returns that line, its literals put into it
// and the word in capitals. plain tells whether SASL PLAIN was among the capabilities.
func (l *lines) sieveResponse() (final string, plain bool, err error) {
	for {
		line, err := l.sieveLine()
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
			return "", false, errNoResponse
		}
	}
}

// sieveLine reads a line with what is announced as a literal in it (RFC 5804 section 4).
func (l *lines) sieveLine() (string, error) {
	whole := ""
	for {
		line, err := l.hear()
		if err != nil {
			return "", err
		}
		at := strings.LastIndexByte(line, '{')
		if at < 0 || !strings.HasSuffix(line, "}") {
			return whole + line, nil
		}
		size, err := strconv.ParseUint(strings.TrimSuffix(line[at+1:len(line)-1], "+"), 10, 16)
		if err != nil || size > maxReply {
			return "", errNoResponse
		}
		literal := make([]byte, size)
		if _, err := io.ReadFull(l.text, literal); err != nil {
			return "", err
		}
		whole += line[:at] + `"` + string(literal) + `"`
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
