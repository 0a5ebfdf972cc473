package lab

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// sieveDialogue is how the scripted server speaks ManageSieve (RFC 5804): as Dovecot's
// Pigeonhole does, with no scripts.
func sieveDialogue() dialogue {
	return dialogue{
		greeting: func(s *session) string {
			return sieveCapabilities(s) + "OK \"Dovecot (Debian) ready.\"\r\n"
		},
		upgraded: func(s *session) string { // sent unasked: RFC 5804, section 2.2
			return sieveCapabilities(s) + "OK \"TLS negotiation successful.\"\r\n"
		},
		refusal:  "BYE \"ManageSieve is not offered on this host.\"\r\n",
		busy:     "BYE (TRYLATER) \"Too many connections, try again later.\"\r\n", // RFC 5804, section 1.3
		flood:    "\"XCAPABILITY\" \"one of very many that nobody asked for\"\r\n",
		injected: "\"SASL\" \"PLAIN LOGIN\"\r\nOK\r\n",
		answer:   answerSieve,
	}
}

func sieveCapabilities(s *session) string {
	lines := []string{
		`"IMPLEMENTATION" "Dovecot (Debian) Pigeonhole"`,
		`"SIEVE" "fileinto reject envelope encoded-character vacation subaddress comparator-i;ascii-numeric relational regex imap4flags copy include variables body enotify environment mailbox date index ihave duplicate mime foreverypart extracttext"`,
		`"NOTIFY" "mailto"`,
		fmt.Sprintf(`"SASL" %q`, strings.Join(s.mechanisms(), " ")),
	}
	if s.mayUpgrade() {
		lines = append(lines, `"STARTTLS"`)
	}
	lines = append(lines, `"VERSION" "1.0"`)
	return strings.Join(lines, "\r\n") + "\r\n"
}

func answerSieve(s *session, line string) (string, step) {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "CAPABILITY":
		return sieveCapabilities(s) + "OK \"Capability completed.\"\r\n", stay
	case "STARTTLS":
		return sieveSTARTTLS(s)
	case "AUTHENTICATE":
		return sieveLogin(s, rest), stay
	case "NOOP":
		return "OK \"NOOP completed.\"\r\n", stay
	case "LISTSCRIPTS":
		if s.loggedIn {
			return "OK \"Listscripts completed.\"\r\n", stay
		}
	case "LOGOUT":
		return "OK \"Logout completed.\"\r\n", leave
	}
	return "NO \"Error in MANAGESIEVE command received by server.\"\r\n", stay
}

func sieveSTARTTLS(s *session) (string, step) {
	switch {
	case s.secure():
		return "NO \"TLS is already active.\"\r\n", stay
	case !s.mayUpgrade():
		return "NO \"TLS support isn't enabled.\"\r\n", stay
	case s.script.busyTLS:
		return "NO (TRYLATER) \"TLS is not available for now.\"\r\n", stay
	}
	return "OK \"Begin TLS negotiation now.\"\r\n", upgrade
}

// sieveLogin takes AUTHENTICATE (RFC 5804, section 2.1).
func sieveLogin(s *session, arguments string) string {
	switch {
	case !s.offersPassword() && !s.secure():
		return "NO (ENCRYPT-NEEDED) \"Plaintext authentication disallowed on non-secure (SSL/TLS) connections.\"\r\n"
	case !s.offersPassword():
		return "NO \"Unsupported authentication mechanism.\"\r\n"
	}
	mechanism, rest, err := sieveString(s, arguments)
	initial := ""
	if err == nil && rest != "" {
		initial, _, err = sieveString(s, strings.TrimPrefix(rest, " "))
	}
	if err != nil {
		return "NO \"Error in MANAGESIEVE command received by server.\"\r\n"
	}
	s.authenticate(mechanism, initial, func(challenge []byte) (string, error) {
		if err := s.write("\"" + base64.StdEncoding.EncodeToString(challenge) + "\"\r\n"); err != nil {
			return "", err
		}
		line, err := s.readLine()
		if err != nil {
			return "", err
		}
		response, _, err := sieveString(s, line)
		return response, err
	})
	if !s.loggedIn {
		return "NO \"Authentication failed.\"\r\n"
	}
	return "OK \"Logged in.\"\r\n"
}

var errSieveString = errors.New("a quoted string or literal was expected")

// sieveString reads a quoted string or, at the end of the line, a literal {N+} whose
// text follows (RFC 5804, section 4), and returns what comes after it. Base64 and
// the names of mechanisms need no escapes.
func sieveString(s *session, text string) (value, rest string, err error) {
	if quoted, ok := strings.CutPrefix(text, `"`); ok {
		value, rest, ok = strings.Cut(quoted, `"`)
		if !ok {
			return "", "", errSieveString
		}
		return value, rest, nil
	}
	size, opened := strings.CutPrefix(text, "{")
	size, closed := strings.CutSuffix(size, "+}")
	n, err := strconv.Atoi(size)
	if !opened || !closed || err != nil || n < 0 || n > maxLine {
		return "", "", errSieveString
	}
	literal := make([]byte, n)
	if _, err := io.ReadFull(s.reader, literal); err != nil {
		return "", "", err
	}
	rest, err = s.readLine()
	return string(literal), rest, err
}
